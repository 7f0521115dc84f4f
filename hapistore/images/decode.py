"""Encoded bytes to RGB pixels."""

from __future__ import annotations

from PIL import Image, ImageOps

from ..errors import ImageError
from .header import ImageHeader, header_of, open_image


def decode_rgb(data: bytes | memoryview) -> Image.Image:
    """Decode an image to 8-bit RGB, upright (EXIF orientation applied), its first frame if animated.

    Transparency is composed over black, since that is what dropping an alpha channel of
    premultiplied pixels gives and it needs no choice of background.

    Raises:
        ImageError: ``truncated`` or ``undecodable``, besides those of an unreadable header.
    """
    image = open_image(data)
    try:
        image.load()
        upright = ImageOps.exif_transpose(image)
        return _to_rgb(upright)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        raise _undecodable(error) from error


def check_image(data: bytes | memoryview) -> ImageHeader:
    """Decode an image in full and return its header: what ingest accepts, extraction can decode.

    Raises:
        ImageError: with the reason it cannot be read.
    """
    image = open_image(data)
    try:
        header = header_of(image)
        image.load()
        return header
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        raise _undecodable(error) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith(("I;16", "I", "F")):
        return _high_range_to_rgb(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    return image.convert("RGB")


def _high_range_to_rgb(image: Image.Image) -> Image.Image:
    """16-bit grey to 8 bits by its high byte; Pillow's own conversion clips at 255."""
    if image.mode == "F":
        return image.convert("L").convert("RGB")
    return image.convert("I").point(lambda level: level * (1 / 256)).convert("L").convert("RGB")


def _undecodable(error: Exception) -> ImageError:
    text = str(error) or type(error).__name__
    truncated = "truncated" in text.lower() or isinstance(error, EOFError)
    return ImageError("truncated" if truncated else "undecodable", f"its pixels cannot be decoded: {text}")
