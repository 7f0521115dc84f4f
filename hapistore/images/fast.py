"""Pixels by the fastest decoders: JPEGs at the smallest scale that pays (simplejpeg), PNGs and resizing by OpenCV.

Values differ a little from Pillow's, so a recipe says which decoder it means. Images of unusual form are decoded by
Pillow here as well, and only resized by OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from ..errors import UsageError
from .cropping import crop_pixels, crop_start
from .decode import decode_rgb
from .image_header import ImageHeader
from .jpeg_header import jpeg_header
from .png_header import png_header

try:
    import cv2
    import simplejpeg
except ImportError:  # said where it is asked for
    cv2 = simplejpeg = None  # type: ignore[assignment]

# Orientation → how the stored rows and columns become upright (EXIF 2.32, table 6).
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: pixels.transpose(1, 0, 2)[:, ::-1],
    7: lambda pixels: pixels.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda pixels: pixels.transpose(1, 0, 2)[::-1],
}
_PNG_DEPTH, _PNG_COLOUR = 24, 25  # bytes of the first chunk
_PLAIN_COLOURS = (0, 2, 3)  # grey, RGB, palette: without an alpha channel
_ENLARGING = {"nearest": "INTER_NEAREST", "bilinear": "INTER_LINEAR", "bicubic": "INTER_CUBIC"}

# By which libjpeg-turbo shrinks with vector instructions; by 8/6, say, takes it longer than by none.
_SCALES = (8, 4, 2, 1)
# Then half a pixel that a crop is beside its place is three eighths of one of the result at most.
_WELL = 4 / 3

SizeOf = Callable[[int, int], tuple[int, int]]


def require_fast() -> ModuleType:
    """OpenCV, where it is installed with simplejpeg.

    Raises:
        UsageError: one of them is not.
    """
    if cv2 is None or simplejpeg is None:
        raise UsageError("decoder fast needs simplejpeg and OpenCV: pip install 'hapistore[images]'")
    return cv2


def decode_towards(data: bytes | memoryview, size_of: SizeOf) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode an image that is to be resized, upright, its first frame if animated.

    Args:
        size_of: given the upright width and height, those wanted.

    Returns:
        uint8 [height, width, 3], RGB, below its own size only where that is enough; and the width and height wanted.

    Raises:
        ImageError: it cannot be decoded.
    """
    found = _decode_usual(data, size_of)
    if found is not None:
        return found
    image = decode_rgb(data)
    return np.asarray(image), size_of(image.width, image.height)


def decode_whole(data: bytes | memoryview) -> np.ndarray:
    """Upright pixels of an image at its own size: uint8 [height, width, 3], RGB.

    Raises:
        ImageError: it cannot be decoded.
    """
    found = _decode_usual(data, lambda width, height: (width, height))
    return found[0] if found is not None else np.asarray(decode_rgb(data))


def _decode_usual(data: bytes | memoryview, size_of: SizeOf) -> tuple[np.ndarray, tuple[int, int]] | None:
    """Upright pixels of a usual JPEG or PNG, and the size wanted; None where Pillow must decide."""
    data = memoryview(data).cast("B")  # simplejpeg takes no signed bytes, as Arrow has them
    header = jpeg_header(data)
    if header is not None:
        return _decode_jpeg(data, header, size_of)
    header = png_header(data)
    if header is not None and _is_plain_png(data):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is not None and pixels.shape == (header.height, header.width, 3):
            return pixels, size_of(header.width, header.height)
    return None


def _decode_jpeg(
    data: bytes | memoryview, header: ImageHeader, size_of: SizeOf
) -> tuple[np.ndarray, tuple[int, int]] | None:
    turned = header.orientation > 4
    width, height = (header.height, header.width) if turned else (header.width, header.height)
    wanted = size_of(width, height)
    enough = [s for s in _SCALES if -(-width // s) >= wanted[0] and -(-height // s) >= wanted[1]]
    scale = enough[0] if enough else 1
    try:
        if simplejpeg.decode_jpeg_header(data)[2] not in ("YCbCr", "Gray"):
            return None
        least_height, least_width = -(-header.height // scale), -(-header.width // scale)
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=least_height, min_width=least_width)
    except ValueError:  # broken, or of a kind that it does not know: Pillow says which
        return None
    return _TURNS[header.orientation](pixels), wanted


def _is_plain_png(data: bytes | memoryview) -> bool:
    """Whether a usual PNG has 8 bits at most and nothing transparent."""
    if data[_PNG_DEPTH] > 8 or data[_PNG_COLOUR] not in _PLAIN_COLOURS:
        return False
    plain = bytes(data)
    return plain.find(b"tRNS", 0, plain.find(b"IDAT")) < 0


def resize_crop(pixels: np.ndarray, size: tuple[int, int], crop_px: tuple[int, int], interpolation: str) -> np.ndarray:
    """The centre crop (height, width) of pixels that are resized to ``size`` (width, height), black where it is larger.

    Where both sides shrink well, only what the crop shows is resized. It is cut at whole pixels, at most half of one
    beside where it should be.
    """
    height, width = pixels.shape[:2]
    left, top = crop_start(size[0], crop_px[1]), crop_start(size[1], crop_px[0])
    shrinks_well = width >= _WELL * size[0] and height >= _WELL * size[1]
    if left < 0 or top < 0 or not shrinks_well:
        return crop_pixels(resize_pixels(pixels, *size, interpolation), *crop_px)
    columns = [round(edge * width / size[0]) for edge in (left, left + crop_px[1])]
    rows = [round(edge * height / size[1]) for edge in (top, top + crop_px[0])]
    return resize_pixels(pixels[slice(*rows), slice(*columns)], *crop_px[::-1], interpolation)


def resize_pixels(pixels: np.ndarray, width: int, height: int, interpolation: str) -> np.ndarray:
    """Pixels of another size: by areas where both sides shrink, else as ``interpolation`` says."""
    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    shrinks = width <= pixels.shape[1] and height <= pixels.shape[0]
    method = cv2.INTER_AREA if shrinks else getattr(cv2, _ENLARGING.get(interpolation, "INTER_LANCZOS4"))
    resized: np.ndarray = cv2.resize(np.ascontiguousarray(pixels), (width, height), interpolation=method)
    return resized
