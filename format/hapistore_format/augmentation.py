"""Stored augmentation: which crop, flip and colours an image's variant has. Integers, so that anyone draws the same."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from .errors import FormatError

LARGEST_SEED = (1 << 32) - 1
LARGEST_VARIANT = (1 << 16) - 1
# A crop's sides have a ratio of at most 4 : 3, either way.
_STRETCH = 1 / 3
_TAG = b"augment\0"


class Draw(NamedTuple):
    """What one variant of one image is.

    Attributes:
        box: (left, top, width, height) in pixels of the upright image, or None for the recipe's own crop.
        flip: whether left and right are swapped.
        factors: brightness, contrast and saturation in parts of 65,536, or None where colours stay as they are.
    """

    box: tuple[int, int, int, int] | None
    flip: bool
    factors: tuple[int, int, int] | None


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """One seeded variant of every image. Recipes that differ in ``variant`` alone belong together.

    Attributes:
        seed: 0 to 2³² − 1.
        variant: its number, from 0.
        crop_percent: least and most of an image's area that a random crop takes; None: the recipe's own crop.
        flip: whether one half of the images is mirrored, at random.
        colour_percent: how far brightness, contrast and saturation may move either way, 0 to 100 each.

    Raises:
        ValueError: a value is none of these, or nothing is asked for.
    """

    seed: int
    variant: int
    crop_percent: tuple[int, int] | None
    flip: bool
    colour_percent: tuple[int, int, int]

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ValueError(problem)

    def _problem(self) -> str:
        for name, largest in (("seed", LARGEST_SEED), ("variant", LARGEST_VARIANT)):
            if not _is_integer(getattr(self, name), 0, largest):
                return f"{name} is {getattr(self, name)!r:.40}, expected an integer from 0 to {largest}"
        crop = self.crop_percent
        if crop is not None and not (_are_integers(crop, 2, 1, 100) and crop[0] <= crop[1]):
            return f"crop_percent is {crop!r:.40}, expected none, or the least and the most: 1 to 100"
        flip: Any = self.flip
        if not isinstance(flip, bool):
            return f"flip is {flip!r:.40}, expected true or false"
        if not _are_integers(self.colour_percent, 3, 0, 100):
            return f"colour_percent is {self.colour_percent!r:.40}, expected three integers from 0 to 100"
        if crop is None and not self.flip and not any(self.colour_percent):
            return "nothing of an image is changed"
        return ""

    @property
    def name(self) -> str:
        """What is done, as the command line takes it: ``crop:35-100,flip,colour:40-40-40``; not the seed or number."""
        parts = []
        if self.crop_percent:
            parts.append("crop:{}-{}".format(*self.crop_percent))
        if self.flip:
            parts.append("flip")
        if any(self.colour_percent):
            parts.append("colour:{}-{}-{}".format(*self.colour_percent))
        return ",".join(parts)

    def to_json(self) -> dict[str, Any]:
        """As a recipe holds it."""
        return {
            "seed": self.seed,
            "variant": self.variant,
            "crop_percent": list(self.crop_percent) if self.crop_percent else None,
            "flip": self.flip,
            "colour_percent": list(self.colour_percent),
        }

    @classmethod
    def from_json(cls, value: Any, *, where: str) -> Augmentation:
        """Raises:
        FormatError: ``bad-field``, or ``unsupported-feature`` of a member that is not known.
        """
        if not isinstance(value, dict):
            raise FormatError("bad-field", f"augmentation is {value!r:.80}, expected an object", where=where)
        names = {field.name for field in fields(cls)}
        unknown = sorted(set(value) - names)
        if unknown:
            raise FormatError("unsupported-feature", f"its augmentation has the member {unknown[0]!r:.80}", where=where)
        if names - set(value):
            raise FormatError("bad-field", f"its augmentation lacks {min(names - set(value))}", where=where)
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
        try:
            return cls(**values)
        except ValueError as error:
            raise FormatError("bad-field", f"its augmentation: {error}", where=where) from error

    def draw(self, digest: bytes, width: int, height: int) -> Draw:
        """The variant of an image, whoever asks, in whatever order.

        Args:
            digest: the record's, 32 raw bytes. width, height: of the upright image, in pixels.
        """
        hashed = hashlib.sha256(_TAG + struct.pack("<QQ", self.seed, self.variant) + digest).digest()
        words = struct.unpack("<8I", hashed)
        factors = tuple(_factor(word, percent) for word, percent in zip(words[5:], self.colour_percent, strict=True))
        return Draw(
            box=self._box(words, width, height) if self.crop_percent else None,
            flip=self.flip and words[4] >= 1 << 31,
            factors=(factors[0], factors[1], factors[2]) if any(self.colour_percent) else None,
        )

    def _box(self, words: tuple[int, ...], width: int, height: int) -> tuple[int, int, int, int]:
        least, most = self.crop_percent or (100, 100)
        part = ((least << 32) + (most - least) * words[0]) / (100 << 32)
        area = (width * height) * part
        # One bit says which side is the longer, the others how much.
        ratio = 1 + _STRETCH * ((words[1] & 0x7FFFFFFF) / (1 << 31))
        longer, shorter = math.sqrt(area * ratio), math.sqrt(area / ratio)
        across, down = (longer, shorter) if words[1] >> 31 else (shorter, longer)
        box_width, box_height = _side(across, width), _side(down, height)
        left = (words[2] * (width - box_width + 1)) >> 32
        top = (words[3] * (height - box_height + 1)) >> 32
        return left, top, box_width, box_height


def _side(length: float, most: int) -> int:
    return min(most, max(1, math.floor(length + 0.5)))


def _factor(word: int, percent: int) -> int:
    """Uniform over 65,536 ± ``percent`` hundredths of it."""
    reach = (percent << 16) // 100
    return (1 << 16) - reach + ((word * (2 * reach + 1)) >> 32)


def _is_integer(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _are_integers(values: Any, count: int, least: int, most: int) -> bool:
    return isinstance(values, tuple) and len(values) == count and all(_is_integer(v, least, most) for v in values)
