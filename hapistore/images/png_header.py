"""A usual PNG's header in a few microseconds. Whatever is unusual is left to Pillow.

EXIF may stand behind the pixels, so Pillow decodes all of them before it says that there is none. Here the chunks are
walked (PNG specification, third edition, chapter 11), and only files are answered in which nothing can turn the
picture and nothing is broken before its pixels; so the answer is the one that Pillow gives.
"""

from __future__ import annotations

import zlib
from struct import Struct

from .image_header import ImageHeader

_CHUNK = Struct(">L4s")
_FIRST = Struct(">8sL4sLLBBBBBL")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAMING_BYTES = 12  # length, kind, checksum
_FIRST_END = 8 + 13 + _FRAMING_BYTES
# Colour type → bit depths.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# What cannot turn a picture → the fewest bytes that Pillow takes.
_PLAIN = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"PLTE": 0, b"bKGD": 0, b"sBIT": 0, b"tIME": 0, b"hIST": 0}
_TRANSPARENCY = {0: 2, 2: 6, 3: 0}
# Of texts, only those that no reader takes for something else.
_TEXTS = frozenset({
    b"author", b"comment", b"copyright", b"creation time", b"date:create", b"date:modify", b"date:timestamp",
    b"description", b"software", b"source", b"title",
})  # fmt: skip
_LARGEST_TEXT = 1 << 16
_MOST_TEXTS = 16


def png_header(data: bytes | memoryview) -> ImageHeader | None:
    """The header of a PNG, or None where Pillow must decide: it is no PNG, or an unusual or broken one.

    Nothing is said of the pixels, and no limit is set to the size.
    """
    if len(data) < _FIRST_END:
        return None
    signature, length, kind, width, height, depth, colour, method, filters, interlaced, crc = _FIRST.unpack_from(data)
    if signature != _SIGNATURE or length != 13 or kind != b"IHDR" or zlib.crc32(data[12:29]) != crc:
        return None
    if depth not in _DEPTHS.get(colour, ()) or method or filters or interlaced > 1 or not width or not height:
        return None
    if not _walk(data, colour):
        return None
    return ImageHeader(width=width, height=height, format="PNG", orientation=1)


def _walk(data: bytes | memoryview, colour: int) -> bool:
    """Whether all chunks behind the first are usual ones, with pixels in one run, up to the end chunk."""
    position, end, texts = _FIRST_END, len(data), 0
    run = 0  # of pixels: 0 before, 1 in, 2 behind it
    while position + _FRAMING_BYTES <= end:
        length, kind = _CHUNK.unpack_from(data, position)
        start, position = position + 8, position + _FRAMING_BYTES + length
        if position > end:
            return False
        if kind == b"IDAT":
            if run == 2:
                return False
            run = 1
            continue
        if kind == b"IEND":
            return run > 0
        run = 2 if run else 0
        texts += kind == b"tEXt"
        if texts > _MOST_TEXTS or not _usual(data, kind, start, length, colour):
            return False
        if zlib.crc32(data[start - 4 : position - 4]).to_bytes(4, "big") != bytes(data[position - 4 : position]):
            return False
    return False


def _usual(data: bytes | memoryview, kind: bytes, start: int, length: int, colour: int) -> bool:
    if kind == b"tEXt":
        return length <= _LARGEST_TEXT and bytes(data[start : start + length]).partition(b"\0")[0].lower() in _TEXTS
    least = _TRANSPARENCY.get(colour) if kind == b"tRNS" else _PLAIN.get(kind)
    return least is not None and length >= least
