"""Tiny images, made by hand."""

from __future__ import annotations

import struct
import zlib

from second.images import Record, record


def png(width: int, height: int, shade: int) -> bytes:
    """A PNG of one shade of grey."""
    rows = (b"\0" + bytes([shade]) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows  # zlib without compression
    data = stored + struct.pack(">I", zlib.adler32(rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bmp(width: int, height: int, shade: int) -> bytes:
    """A BMP of 24 bits a pixel."""
    row = (bytes([shade]) * 3 * width) + bytes(-3 * width % 4)
    size = 54 + len(row) * height
    head = b"BM" + struct.pack("<IHHI", size, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + row * height


def png_record(width: int, height: int, shade: int, orientation: int = 1) -> Record:
    return record(png(width, height, shade), width, height, "PNG", orientation)


def bmp_record(width: int, height: int, shade: int) -> Record:
    return record(bmp(width, height, shade), width, height, "BMP")


def some_records() -> list[Record]:
    """Three records, the second of which says how it is to be turned."""
    return [png_record(3, 2, 0), png_record(1, 1, 128, orientation=6), bmp_record(5, 4, 255)]
