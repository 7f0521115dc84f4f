"""Encoded bytes to RGB pixels."""

from __future__ import annotations

from PIL import Image

from ..errors import ImageError
from .header import header_of, open_image, unsupported
from .image_header import ImageHeader

# What makes an image upright, by its EXIF orientation (EXIF 2.32, table 6).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
        return _to_rgb(_turn_upright(image, header_of(image)))
    except Exception as error:  # Pillow's decoders raise whatever their libraries report
        raise _undecodable(error, image, data) from error


def check_image(data: bytes | memoryview) -> ImageHeader:
    """Decode an image in full and return its header: what ingest accepts, extraction can decode.

    Raises:
        ImageError: with the reason it cannot be read.
    """
    image = open_image(data)
    try:
        # Pixels first: on PNG, reading EXIF decodes too, and a second decode after a failed one passes silently.
        image.load()
        header = header_of(image)
        _to_rgb(_turn_upright(image, header))  # costs nothing for upright RGB
        return header
    except Exception as error:  # Pillow's decoders raise whatever their libraries report
        raise _undecodable(error, image, data) from error


def _turn_upright(image: Image.Image, header: ImageHeader) -> Image.Image:
    """Not Pillow's ``exif_transpose``: that writes the EXIF block anew, and fails where it is broken."""
    method = _UPRIGHT.get(header.orientation)
    return image if method is None else image.transpose(method)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
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


def _undecodable(error: Exception, image: Image.Image, data: bytes | memoryview) -> ImageError:
    # TGA has no signature, so other formats pass for it until they are decoded.
    if image.format == "TGA" and (foreign := unsupported(data)):
        return foreign
    text = str(error) or type(error).__name__
    truncated = "truncated" in text.lower() or isinstance(error, EOFError)
    return ImageError("truncated" if truncated else "undecodable", f"its pixels cannot be decoded: {text}")
