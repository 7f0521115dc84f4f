"""What a client says of a network that it sends, checked word by word."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hapistore_format import Recipe
from hapistore_format.digests import is_digest
from hapistore_format.recipe import PRECISIONS
from hapistore_format.sealed_json import is_shape

from ...errors import UsageError
from ...extraction.stored_prefix import preprocess_of
from ...images import Preprocess
from ...images.fast import require_fast
from .intake_limits import IntakeLimits

KINDS = ("weights", "onnx")
_ARCHITECTURE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
# As `models.node_names` writes them: paths of modules, operators, numbers, several joined.
_CUT = re.compile(r"[A-Za-z0-9._#+-]+")
_MOST_ARCHITECTURE, _MOST_CUT, _MOST_WEIGHTS_NAME = 128, 512, 200
_MOST_LEVEL = 1e6
# Of what is decoded, in parts of the crop: more would only take memory.
_RESIZED_TO_CROP = 4


@dataclass(frozen=True, kw_only=True)
class SentHeader:
    """A header that passed; see `SentNetwork` for what it says."""

    kind: str
    architecture: str
    cut: str
    preprocess: dict[str, Any]
    precision: str
    weights_name: str
    shape: tuple[int, ...]
    sha256: str

    @classmethod
    def parse(cls, header: Mapping[str, Any], limits: IntakeLimits) -> SentHeader:
        """Check a header.

        Raises:
            UsageError: a field is missing, unknown, or not what it may be.
        """
        if not isinstance(header, Mapping):
            raise UsageError(f"the network's header is a {type(header).__name__}, expected an object")
        names = {field.name for field in fields(cls)}
        if set(header) != names:
            wrong = sorted(map(repr, set(header) ^ names))
            raise UsageError(f"the network's header lacks or adds {wrong[0]:.80}; its fields are {', '.join(names)}")
        sent = cls(
            kind=_one_of(header, "kind", KINDS),
            architecture=_text(header, "architecture", _MOST_ARCHITECTURE, _ARCHITECTURE),
            cut=_text(header, "cut", _MOST_CUT, _CUT),
            preprocess=_preprocess(header["preprocess"], limits),
            precision=_one_of(header, "precision", tuple(PRECISIONS)),
            weights_name=_text(header, "weights_name", _MOST_WEIGHTS_NAME, None),
            shape=_shape(header["shape"], limits),
            sha256=_digest(header["sha256"]),
        )
        if sent.kind == "onnx" and sent.precision != "f32":
            raise UsageError(f"field precision is {sent.precision!r}; an ONNX program is run in f32 only")
        return sent

    def recipe(self, *, weights: str, program: str | None) -> Recipe:
        """The recipe of this network, if its features have the shape it says.

        Args:
            weights, program: digests.
        """
        return Recipe(
            architecture=self.architecture,
            weights=weights,
            program=program,
            cut=self.cut,
            preprocess=self.preprocess,
            precision=self.precision,
            shape=self.shape,
            notes={"weights": self.weights_name},
        )


def _one_of(header: Mapping[str, Any], field: str, known: tuple[str, ...]) -> str:
    value = header[field]
    if not isinstance(value, str) or value not in known:
        raise UsageError(f"field {field} is {_shown(value)}, expected one of {', '.join(known)}")
    return value


def _text(header: Mapping[str, Any], field: str, most: int, pattern: re.Pattern[str] | None) -> str:
    value = header[field]
    if not isinstance(value, str) or len(value) > most:
        raise UsageError(f"field {field} is {_shown(value)}, expected text of at most {most} characters")
    if pattern is None and not value.isprintable():
        raise UsageError(f"field {field} is {_shown(value)}, expected printable text")
    if pattern is not None and (not pattern.fullmatch(value) or ".." in value):
        raise UsageError(f"field {field} is {_shown(value)}, expected {pattern.pattern} and no '..'")
    return value


def _digest(value: Any) -> str:
    if not isinstance(value, str) or not is_digest(value):
        raise UsageError(f"field sha256 is {_shown(value)}, expected 64 hexadecimal digits")
    return value


def _shape(value: Any, limits: IntakeLimits) -> tuple[int, ...]:
    if not isinstance(value, list) or not is_shape(value):
        raise UsageError(f"field shape is {_shown(value)}, expected 1 to 4 positive numbers")
    if 4 * math.prod(value) > limits.max_memory_bytes:
        raise UsageError(
            f"field shape is {_shown(value)}: an image's features have {4 * math.prod(value):,} bytes, "
            f"allowed are {limits.max_memory_bytes:,}"
        )
    return tuple(value)


def _preprocess(value: Any, limits: IntakeLimits) -> dict[str, Any]:
    """Its plain form, of numbers that a picture may have."""
    names = {field.name for field in fields(Preprocess)}
    if not isinstance(value, dict) or set(value) != names:
        raise UsageError(f"field preprocess is {_shown(value)}, expected an object of {', '.join(sorted(names))}")
    most = limits.max_crop_px
    crop, resize = value["crop_px"], value["resize_px"]
    if not _are_sides(crop, most):
        raise UsageError(f"crop_px is {_shown(crop)}, expected height and width of at most {most}")
    if not _are_sides(resize if isinstance(resize, list) else [resize] * 2, _RESIZED_TO_CROP * most):
        raise UsageError(f"resize_px is {_shown(resize)}, expected one side or two, at most {_RESIZED_TO_CROP * most}")
    for field in ("mean_levels", "std_levels"):
        if not _are_levels(value[field]):
            raise UsageError(f"{field} is {_shown(value[field])}, expected three numbers of at most {_MOST_LEVEL:g}")
    # Both are looked up in tables, which takes what can be hashed.
    for field in ("interpolation", "decoder"):
        if not isinstance(value[field], str):
            raise UsageError(f"{field} is {_shown(value[field])}, expected text")
    made = preprocess_of(value)
    if made.decoder == "fast":
        require_fast()
    return {key: value[key] for key in sorted(names)}


def _are_sides(value: Any, most: int) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(type(side) is int and 1 <= side <= most for side in value)


def _are_levels(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(type(level) in (int, float) and abs(level) <= _MOST_LEVEL for level in value)
    )


def _shown(value: Any) -> str:
    """Of text its beginning, of lists of numbers too; of anything else what it is: a repr may be of any size."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, list) and len(value) <= 8 and all(type(item) in (int, float) for item in value):
        return f"{value!r:.120}"
    return repr(value) if value is None or isinstance(value, (bool, float)) else f"a {type(value).__name__}"
