"""From encoded bytes to the pixels a network expects, as far as integers go.

The last step, ``(level - mean) / std`` in float32, is done by the frozen prefix on its own device:
queues then carry one byte a pixel value instead of four.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from ..errors import UsageError
from .changes import ChangeOf
from .cropping import crop_centre
from .decode import decode_rgb
from .fast import decode_towards, decode_whole, require_fast, resize_crop, resize_pixels

DECODERS = ("pillow", "fast")
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Resize the short side, crop the centre, normalise. All of it decides values, so all of it is hashed.

    Attributes:
        resize_px: what the short side becomes, keeping the aspect ratio; or (height, width) exactly.
        crop_px: (height, width) of the centre crop; black is padded where the image is smaller.
        interpolation: ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``, Pillow's antialiased filters.
        mean_levels, std_levels: per RGB channel, in pixel levels 0–255.
        decoder: who turns bytes into pixels of the size wanted: ``pillow``, as networks were trained, or ``fast``
            (simplejpeg, OpenCV), several times as fast; their pixels differ by a few levels.
    """

    resize_px: int | tuple[int, int]
    crop_px: tuple[int, int]
    interpolation: str = "bilinear"
    mean_levels: tuple[float, float, float]
    std_levels: tuple[float, float, float]
    decoder: str = "pillow"

    def __post_init__(self) -> None:
        if self.interpolation not in _FILTERS:
            raise ValueError(f"interpolation is {self.interpolation!r}, expected one of {', '.join(_FILTERS)}")
        if self.decoder not in DECODERS:
            raise ValueError(f"decoder is {self.decoder!r}, expected one of {', '.join(DECODERS)}")
        if min(self.std_levels) <= 0:
            raise ValueError(f"std_levels is {self.std_levels}, expected positive numbers")

    @property
    def pixel_shape(self) -> tuple[int, int, int]:
        """Shape of one image's pixels: (height, width, 3)."""
        return (*self.crop_px, 3)

    def to_json(self) -> dict[str, Any]:
        """A plain form for a recipe."""
        return asdict(self)

    def __call__(self, data: bytes | memoryview) -> np.ndarray:
        """Decode, resize and crop one image.

        Returns:
            uint8 [height, width, 3], RGB, not yet normalised.

        Raises:
            ImageError: the bytes cannot be decoded.
        """
        if self.decoder == "fast":
            return self._crop_fast(data)
        return self._crop_pillow(decode_rgb(data))

    def variants(self, data: bytes | memoryview, changes: Sequence[ChangeOf | None]) -> list[np.ndarray]:
        """Several variants of one image, decoded once; each is the same whatever the others are.

        Args:
            changes: given width and height of the upright image, what is changed; None: the image as it is.

        Returns:
            as many as ``changes``, each as ``__call__`` gives it.

        Raises:
            ImageError: the bytes cannot be decoded.
        """
        if self.decoder == "fast":
            return self._variants_fast(data, changes)
        image = decode_rgb(data)
        return [self._variant_pillow(image, change) for change in changes]

    def _variant_pillow(self, image: Image.Image, change_of: ChangeOf | None) -> np.ndarray:
        if change_of is None:
            return self._crop_pillow(image)
        change = change_of(image.width, image.height)
        if change.box is None:
            return change.finish(self._crop_pillow(image))
        left, top, width, height = change.box
        size = self.crop_px[::-1]
        box = (left, top, left + width, top + height)
        return change.finish(np.asarray(image.resize(size, _FILTERS[self.interpolation], box), dtype=np.uint8))

    def _variants_fast(self, data: bytes | memoryview, changes: Sequence[ChangeOf | None]) -> list[np.ndarray]:
        # The usual crop may come of a JPEG at a smaller scale, random ones never do: each is what it is alone.
        whole = decode_whole(data) if any(changes) else None
        plain = functools.cache(lambda: self._crop_fast(data))
        return [
            plain() if change_of is None or whole is None else self._variant_fast(whole, change_of, plain)
            for change_of in changes
        ]

    def _variant_fast(self, whole: np.ndarray, change_of: ChangeOf, plain: Callable[[], np.ndarray]) -> np.ndarray:
        change = change_of(whole.shape[1], whole.shape[0])
        if change.box is None:
            return change.finish(plain())
        left, top, width, height = change.box
        box = whole[top : top + height, left : left + width]
        return change.finish(resize_pixels(box, *self.crop_px[::-1], self.interpolation))

    def _crop_pillow(self, image: Image.Image) -> np.ndarray:
        resized = image.resize(self._resized_size(image.width, image.height), _FILTERS[self.interpolation])
        return np.asarray(crop_centre(resized, *self.crop_px), dtype=np.uint8)

    def _crop_fast(self, data: bytes | memoryview) -> np.ndarray:
        pixels, size = decode_towards(data, self._resized_size)
        return resize_crop(pixels, size, self.crop_px, self.interpolation)

    def _resized_size(self, width: int, height: int) -> tuple[int, int]:
        if isinstance(self.resize_px, tuple):
            return self.resize_px[1], self.resize_px[0]
        # As torchvision's Resize: the long side is truncated, not rounded.
        if width <= height:
            return self.resize_px, max(1, self.resize_px * height // width)
        return max(1, self.resize_px * width // height), self.resize_px


def with_decoder(preprocess: Preprocess, decoder: str) -> Preprocess:
    """The same with another decoder.

    Raises:
        UsageError: there is no such decoder, or it is not installed.
    """
    if decoder not in DECODERS:
        raise UsageError(f"decoder {decoder!r} is none of {', '.join(DECODERS)}")
    if decoder == "fast":
        require_fast()
    return replace(preprocess, decoder=decoder)
