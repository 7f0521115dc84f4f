"""Recipes: all that decides a feature's value, in a canonical form that is hashed."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .augmentation import Augmentation
from .errors import DamagedError, FormatError
from .sealed_json import canonical_json, check_format, is_shape, read_sealed_json, take, take_digest, write_sealed_json


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How near an image's features must be to those of float32 arithmetic, whoever computes them.

    Attributes:
        of_largest: largest difference of a value, in parts of the largest magnitude among the image's features.
        least_cosine: least cosine between the two, of a precision whose single values may be far off.
    """

    of_largest: float
    least_cosine: float = -1.0


PRECISIONS = {
    "f32": Tolerance(of_largest=1e-4),
    "bf16": Tolerance(of_largest=0.5, least_cosine=0.9),
}
"""Precision → what features of one recipe have in common, whichever executor made them."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is computed. Executor, device and library versions are provenance and not part of it.

    Attributes:
        architecture: canonical name of the network, e.g. ``efficientnet_lite0``.
        weights: digest of the frozen weights file.
        program: digest of the prefix as a program, for networks that have no well-known name.
        cut: name of the cut.
        preprocess: preprocessing, decoder included, as plain JSON.
        precision: ``f32`` or ``bf16``, the arithmetic that the prefix may be computed in.
        shape: of one image's features, without the row axis.
        augmentation: which variant of every image; None: the image as it is.
        notes: for people (where the weights come from); not hashed.
    """

    architecture: str
    weights: str
    program: str | None = None
    cut: str
    preprocess: dict[str, Any]
    precision: str = "f32"
    shape: tuple[int, ...]
    augmentation: Augmentation | None = None
    notes: dict[str, str] = field(default_factory=dict, compare=False)

    def _hashed(self) -> dict[str, Any]:
        value = asdict(self)
        del value["notes"], value["augmentation"]
        # Left out where there is none, so that one meaning has one digest.
        return value if self.augmentation is None else {**value, "augmentation": self.augmentation.to_json()}

    @property
    def label(self) -> str:
        """Architecture and cut for people, the precision unless it is the usual one, and the variant if it is one."""
        usual = f"{self.architecture}:{self.cut}"
        precise = usual if self.precision == "f32" else f"{usual}:{self.precision}"
        return precise + self.variant_label

    @property
    def variant_label(self) -> str:
        """Which variant of the images, for people; empty of images as they are."""
        of = self.augmentation
        return f"+{of.name}#{of.variant}" + (f",seed={of.seed}" if of.seed else "") if of else ""

    @property
    def plain(self) -> Recipe:
        """The recipe of the same images as they are."""
        return replace(self, augmentation=None)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of every attribute but ``notes``."""
        return hashlib.sha256(canonical_json(self._hashed())).hexdigest()

    def serialise(self) -> bytes:
        """The recipe file."""
        return write_sealed_json({"format": 1, "recipe": self._hashed(), "notes": self.notes})

    @classmethod
    def parse(cls, data: bytes | memoryview, *, where: str) -> Recipe:
        """Read a recipe file.

        Raises:
            DamagedError: its hash does not match.
            FormatError: it is not what the format allows.
        """
        value = read_sealed_json(data, where=where)
        check_format(value, 1, where=where)
        body = take(value, "recipe", dict, where=where)
        unknown = sorted(set(body) - {attribute.name for attribute in fields(cls) if attribute.compare})
        if unknown:  # all of it decides a feature's value
            raise FormatError("unsupported-feature", f"its recipe has the member {unknown[0]!r:.80}", where=where)
        shape = take(body, "shape", list, where=where)
        if not is_shape(shape):
            raise FormatError("bad-field", f"shape is {shape!r:.80}, expected 1 to 4 positive numbers", where=where)
        recipe = cls(
            architecture=take(body, "architecture", str, where=where),
            weights=take_digest(body, "weights", where=where),
            program=None if _require_program(body, where) is None else take_digest(body, "program", where=where),
            cut=take(body, "cut", str, where=where),
            preprocess=take(body, "preprocess", dict, where=where),
            precision=take(body, "precision", str, where=where),
            shape=tuple(shape),
            augmentation=(
                Augmentation.from_json(body["augmentation"], where=where) if "augmentation" in body else None
            ),
            notes=take(value, "notes", dict, where=where),
        )
        if recipe.precision not in PRECISIONS:
            raise FormatError("bad-field", f"its precision is {recipe.precision!r:.80}", where=where)
        recipe.check_hashable(where=where)
        return recipe

    def check_hashable(self, *, where: str) -> None:
        """Refuse numbers and text that have no canonical spelling (NaN, lone surrogates), in ``notes`` too.

        Raises:
            FormatError: ``bad-field``.
        """
        try:
            canonical_json(asdict(self))
        except (ValueError, RecursionError) as error:
            raise FormatError("bad-field", f"it cannot be hashed: {error}", where=where) from error

    def check_name(self, name: str, *, where: str) -> None:
        """Compare the recipe with the digest it is stored under.

        Raises:
            DamagedError: ``bad-digest``.
        """
        if self.digest != name:
            raise DamagedError("bad-digest", f"it is recipe {self.digest[:12]}, not the one named", where=where)


def _require_program(body: dict[str, Any], where: str) -> Any:
    if "program" not in body:  # left out, it would be another recipe of the same meaning
        raise FormatError("bad-field", "field 'program' is not there, expected a digest or null", where=where)
    return body["program"]
