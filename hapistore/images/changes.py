"""What a variant of an image differs in. Whole numbers only, so that every implementation gives the same levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

_ONE, _HALF = 1 << 16, 1 << 15
_LEVELS = np.arange(256, dtype=np.int64)


class Change(NamedTuple):
    """One variant of one image.

    Attributes:
        box: (left, top, width, height) in the upright image; None: the usual crop.
        flip: whether left and right are swapped.
        factors: brightness, contrast and saturation in parts of 65,536; None: colours as they are.
    """

    box: tuple[int, int, int, int] | None
    flip: bool
    factors: tuple[int, int, int] | None

    def finish(self, pixels: np.ndarray) -> np.ndarray:
        """What comes after cropping and resizing: uint8 [height, width, 3] to the same, in rows."""
        if self.flip:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels if self.factors is None else recolour(pixels, self.factors))


ChangeOf = Callable[[int, int], Change]
"""(width, height) of the upright image → what is changed of it."""


def recolour(pixels: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    """Move levels away from black, from the image's mean grey, and from each pixel's own grey, in this order.

    Args:
        pixels: uint8 [height, width, 3], RGB.
        factors: in parts of 65,536, from 0 (there) over 65,536 (as they are) to 131,072 (twice as far).
    """
    brightness, contrast, saturation = factors
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if brightness != _ONE:
        image = image.point(_table(0, brightness))
    if contrast != _ONE:
        counts = np.array(image.convert("L").histogram(), np.int64)
        total = int(counts.sum())
        mean = (int(counts @ _LEVELS) + total // 2) // total
        image = image.point(_table(mean, contrast))
    if saturation == _ONE:
        return np.asarray(image)
    # Pillow's grey is (19595 R + 38470 G + 7471 B + 32768) >> 16.
    grey = np.asarray(image.convert("L"), np.int32)[:, :, None]
    moved = np.asarray(image, np.int32)
    moved -= grey
    moved *= saturation
    moved += _HALF
    moved >>= 16
    moved += grey
    return np.clip(moved, 0, 255, out=moved).astype(np.uint8)


def _table(centre: int, factor: int) -> list[int]:
    """Where each level goes, for each of three channels."""
    moved = centre + (((_LEVELS - centre) * factor + _HALF) >> 16)
    levels: list[int] = np.clip(moved, 0, 255).tolist()
    return levels * 3
