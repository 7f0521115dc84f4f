"""What an image says of itself before any pixel is decoded."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from ..errors import ImageError
from .foreign import foreign_format
from .image_header import ImageHeader
from .jpeg_header import jpeg_header
from .limits import MAX_PIXELS, usable_formats
from .png_header import png_header

_ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4


def open_image(data: bytes | memoryview) -> Image.Image:
    """Open encoded bytes without decoding pixels.

    Raises:
        ImageError: ``empty``, ``not-an-image``, ``unsupported-format`` or ``too-many-pixels``.
    """
    if len(data) == 0:
        raise ImageError("empty", "0 bytes, expected an encoded image")
    formats = usable_formats()
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        raise unsupported(data) or ImageError(
            "not-an-image", f"{len(data)} bytes that are none of {', '.join(formats)}"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # a warning may be set to raise
        raise ImageError("too-many-pixels", str(error)) from None
    except Exception as error:  # Pillow's parsers raise whatever their struct reads raise
        raise ImageError("not-an-image", f"its header cannot be parsed: {error}") from error
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ImageError(
            "too-many-pixels",
            f"{image.width}×{image.height} pixels, expected at most {MAX_PIXELS} (HAPISTORE_MAX_PIXELS)",
        )
    return image


def unsupported(data: bytes | memoryview) -> ImageError | None:
    """The error to raise where the bytes are of an image format that hapistore does not read."""
    name = foreign_format(data)
    if name is None:
        return None
    return ImageError(
        "unsupported-format", f"a file in format {name}, expected {', '.join(usable_formats())}; convert it"
    )


def read_header(data: bytes | memoryview) -> ImageHeader:
    """Parse an image's header: in microseconds where the file is a usual JPEG or PNG, else as Pillow does.

    Raises:
        ImageError: the bytes are no image that hapistore reads.
    """
    header = jpeg_header(data) or png_header(data)
    if header and within_limits(header):
        return header
    with open_image(data) as image:
        return header_of(image)


def within_limits(header: ImageHeader) -> bool:
    """Whether an image is of a size that Pillow opens without a remark: beyond it, it warns or refuses."""
    return header.width * header.height <= min(MAX_PIXELS, Image.MAX_IMAGE_PIXELS or MAX_PIXELS)


def header_of(image: Image.Image) -> ImageHeader:
    """The header of an image that Pillow has opened."""
    try:
        orientation = int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a broken EXIF block is metadata lost, not an image lost: it shows upright
        orientation = 1
    return ImageHeader(
        width=image.width,
        height=image.height,
        format=str(image.format),
        # Pillow turns a TIFF upright itself, and gives its size so from the start.
        orientation=orientation if 1 <= orientation <= 8 and image.format != "TIFF" else 1,
    )
