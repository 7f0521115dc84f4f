"""A usual JPEG's header in a few microseconds. Whatever is unusual is left to Pillow.

Pillow opens a JPEG in about a tenth of a millisecond, most of it spent on what hapistore does not ask for. Here
only files are answered whose every marker up to the first scan is one of a known form; so the answer is the one that
Pillow gives, and a hostile file gains nothing but being read by Pillow. Segments are those of ITU-T T.81, annex B;
orientation and its directory those of EXIF 2.32, section 4.6.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from .image_header import ImageHeader

_SEGMENT = Struct(">BBH")
_FRAME = Struct(">BHHB")
_SHORT = {b"II": Struct("<H"), b"MM": Struct(">H")}
_LONG = {b"II": Struct("<L"), b"MM": Struct(">L")}
_ENTRY = {b"II": Struct("<HHLL"), b"MM": Struct(">HHLL")}
_MAGIC = {b"II*\0": b"II", b"MM\0*": b"MM"}
_ENTRY_BYTES = 12
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_SHORT_TYPE, _RATIONAL_TYPE = 3, 5
_ORIENTATION, _X_RESOLUTION, _RESOLUTION_UNIT = 0x0112, 0x011A, 0x0128
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_SCAN = 0xDA
# Huffman tables, restart intervals, comments, and the applications' segments that Pillow makes nothing of.
_SKIPPED = frozenset({0xC4, 0xDD, 0xFE, *range(0xE0, 0xF0)})
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def jpeg_header(data: bytes | memoryview) -> ImageHeader | None:
    """The header of a JPEG, or None where Pillow must decide: it is no JPEG, or an unusual or broken one.

    Nothing is said of what follows the first scan's header, and no limit is set to the size.
    """
    segments = _segments(data) if bytes(data[:3]) == b"\xff\xd8\xff" else None
    if segments is None:
        return None
    size: tuple[int, int] | None = None
    orientation: int | None = None
    xmp = []
    for marker, start, end in segments:
        if marker in _FRAMES:
            size = None if size else _frame_size(data, start, end)
            if size is None:
                return None
        elif marker == 0xE1 and bytes(data[start : start + 6]) == _EXIF:
            orientation = _orientation(data, start + 6, end) if orientation is None else None
            if orientation is None:
                return None
        elif marker == 0xE1 and bytes(data[start : start + len(_XMP)]) == _XMP:
            xmp.append(bytes(data[start:end]))
        elif not _usual(data, marker, start, end):
            return None
    if size is None or (not orientation and any(b"tiff:Orientation" in text for text in xmp)):
        return None
    return ImageHeader(width=size[0], height=size[1], format="JPEG", orientation=orientation or 1)


def _segments(data: bytes | memoryview) -> list[tuple[int, int, int]] | None:
    """(marker, start, end) of each segment's content, the first scan's header the last; None where it is unusual."""
    segments: list[tuple[int, int, int]] = []
    position, total = 2, len(data)
    while position + 4 <= total:
        lead, marker, length = _SEGMENT.unpack_from(data, position)
        start, position = position + 4, position + 2 + length
        if lead != 0xFF or length < 2 or position > total:
            return None
        if marker == _SCAN:
            return segments
        segments.append((marker, start, position))
    return None


def _frame_size(data: bytes | memoryview, start: int, end: int) -> tuple[int, int] | None:
    """(width, height) of an 8-bit frame of 1, 3 or 4 components."""
    if end - start < 6:
        return None
    bits, height, width, components = _FRAME.unpack_from(data, start)
    if bits != 8 or components not in (1, 3, 4) or end - start != 6 + 3 * components or not width or not height:
        return None
    return width, height


def _usual(data: bytes | memoryview, marker: int, start: int, end: int) -> bool:
    """Whether Pillow reads a segment without a remark, and calls the file a JPEG nonetheless."""
    check = _CHECKS.get(marker)
    return marker in _SKIPPED if check is None else check(data, start, end)


def _usual_tables(data: bytes | memoryview, start: int, end: int) -> bool:
    """DQT: whole quantisation tables."""
    while start < end:
        start += 65 if data[start] < 16 else 129
    return start == end


def _usual_jfif(data: bytes | memoryview, start: int, end: int) -> bool:
    return end - start >= 14 or bytes(data[start : start + 4]) != b"JFIF"


def _usual_app2(data: bytes | memoryview, start: int, end: int) -> bool:
    """MPF is of several pictures in one file, whose format Pillow calls MPO. Profiles are numbered in byte 13."""
    kind = bytes(data[start : start + 12])
    return not kind.startswith(b"MPF\0") and (end - start > 14 or kind != b"ICC_PROFILE\0")


def _usual_app13(data: bytes | memoryview, start: int, end: int) -> bool:
    """Photoshop's resources are whole, each padded to an even offset from the segment's start."""
    if bytes(data[start : start + 14]) != b"Photoshop 3.0\0":
        return True
    base, start = start, start + 14
    while start + 4 <= end and bytes(data[start : start + 4]) == b"8BIM":
        if start + 7 > end:
            return False
        start += 7 + data[start + 6]
        start += (start - base) & 1
        if start + 4 > end:
            return False
        start += 4 + int.from_bytes(data[start : start + 4], "big")
        start += (start - base) & 1
    return True


def _usual_adobe(data: bytes | memoryview, start: int, end: int) -> bool:
    return end - start >= 12 or bytes(data[start : start + 5]) != b"Adobe"


_CHECKS: dict[int, Callable[[bytes | memoryview, int, int], bool]] = {
    0xDB: _usual_tables,
    0xE0: _usual_jfif,
    0xE2: _usual_app2,
    0xED: _usual_app13,
    0xEE: _usual_adobe,
}


def _orientation(data: bytes | memoryview, start: int, end: int) -> int | None:
    """EXIF orientation of a usual first directory: 1 to 8, 0 where it has none, None where it is unusual."""
    order = _MAGIC.get(bytes(data[start : min(start + 4, end)]))
    if order is None or start + 8 > end:
        return None
    first = start + _LONG[order].unpack_from(data, start + 4)[0]
    if first + 2 > end:
        return None
    entries = _SHORT[order].unpack_from(data, first)[0]
    if first + 2 + entries * _ENTRY_BYTES + 4 > end:
        return None
    orientation, outside, unpack = 0, 0, _ENTRY[order].unpack_from
    for entry in range(first + 2, first + 2 + entries * _ENTRY_BYTES, _ENTRY_BYTES):
        tag, kind, count, where = unpack(data, entry)
        size = count * _TYPE_BYTES.get(kind, end)
        if size > 4:
            outside += size
            if where + size > end - start or outside > end - start:
                return None
        if tag == _ORIENTATION:
            if orientation or kind != _SHORT_TYPE or count != 1:
                return None
            value = _SHORT[order].unpack_from(data, entry + 8)[0]
            orientation = value if 1 <= value <= 8 else 1
        elif (tag == _RESOLUTION_UNIT and (kind != _SHORT_TYPE or count != 1)) or (
            tag == _X_RESOLUTION and (kind != _RATIONAL_TYPE or count != 1)
        ):
            return None  # Pillow computes with these while it opens the file
    return orientation
