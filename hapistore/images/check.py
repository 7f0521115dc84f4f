"""What ingest looks at before it takes an image."""

from __future__ import annotations

import zlib
from struct import Struct

from .decode import check_image
from .header import within_limits
from .image_header import ImageHeader
from .jpeg_header import jpeg_header
from .png_header import png_header

_JPEG_END = b"\xff\xd9"
_LENGTH = Struct(">L")
_PNG_FIRST, _PNG_FRAMING = 8, 12  # signature; a chunk's length, kind and checksum


def check_usual(data: bytes | memoryview, plain_size: tuple[int, int] | None = None) -> ImageHeader:
    """The header of an image that may be expected to decode; whatever is unusual is decoded.

    A usual JPEG that ends as one is taken by its header, a usual PNG by the checksums of its chunks, both in
    microseconds. Bytes changed in the middle of a JPEG are not seen, and seldom keep it from being decoded.

    Args:
        plain_size: width and height, where it was seen to be a JPEG of the plainest form, end included.

    Raises:
        ImageError: with the reason it cannot be used.
    """
    if plain_size is not None:
        plain = ImageHeader(width=plain_size[0], height=plain_size[1], format="JPEG", orientation=1)
        if within_limits(plain):
            return plain
    header = jpeg_header(data)
    if header is not None:
        usual = data[-2:] == _JPEG_END
    else:
        header = png_header(data)
        usual = header is not None and _chunks_are_whole(data)
    if header is not None and usual and within_limits(header):
        return header
    return check_image(data)


def _chunks_are_whole(data: bytes | memoryview) -> bool:
    """Whether every chunk of a PNG that has been walked matches its checksum."""
    view, position = memoryview(data), _PNG_FIRST
    while position + _PNG_FRAMING <= len(view):
        (length,) = _LENGTH.unpack_from(view, position)
        end = position + 8 + length
        if zlib.crc32(view[position + 4 : end]) != _LENGTH.unpack_from(view, end)[0]:
            return False
        if view[position + 4 : position + 8] == b"IEND":
            return True
        position = end + 4
    return False
