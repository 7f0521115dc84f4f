"""The commonest form of JPEG by a kernel: its size, where nothing in it needs a closer look.

What the kernel answers, ``jpeg_header`` answers the same; it knows fewer forms. Cameras' files, with EXIF, are among
those that it leaves to that.
"""

from __future__ import annotations

import numpy as np

from hapistore_format.codecs.jit import jit

UNUSUAL = -1
_JFIF_BYTES = 14


@jit
def jpeg_size(data: np.ndarray, start: int, end: int) -> int:
    """Width and height of a plain JPEG that ends as one, from its headers alone.

    Args:
        data: uint8; the file lies in ``[start, end)``.

    Returns:
        width · 2¹⁶ + height; -1 where a closer look is needed.
    """
    if end - start < 4 or not (_is_marker(data, start, 0xD8) and _is_marker(data, end - 2, 0xD9)):
        return UNUSUAL
    size, at = UNUSUAL, start + 2
    while at + 4 <= end:
        marker, length = data[at + 1], data[at + 2] * 256 + data[at + 3]
        content, after = at + 4, at + 2 + length
        if data[at] != 0xFF or length < 2 or after > end:
            return UNUSUAL
        if marker == 0xDA:
            return size
        if marker in (0xC0, 0xC1, 0xC2):
            if size != UNUSUAL:
                return UNUSUAL
            size = _frame(data, content, after)
            if size == UNUSUAL:
                return UNUSUAL
        elif not _is_plain(data, marker, content, after):
            return UNUSUAL
        at = after
    return UNUSUAL


@jit
def _is_marker(data: np.ndarray, at: int, marker: int) -> bool:
    return data[at] == 0xFF and data[at + 1] == marker


@jit
def _is_plain(data: np.ndarray, marker: int, start: int, end: int) -> bool:
    """Whether a segment is one that can be passed over: JFIF, whole quantisation tables, tables of codes, comments."""
    if marker == 0xDB:
        while start < end:
            start += 65 if data[start] < 16 else 129
        return start == end
    if marker == 0xE0:
        return end - start >= _JFIF_BYTES
    return marker == 0xC4 or marker == 0xDD or marker == 0xFE


@jit
def _frame(data: np.ndarray, start: int, end: int) -> int:
    """Size of an 8-bit frame of 1, 3 or 4 components; -1 where it is none."""
    if end - start < 6 or data[start] != 8:
        return UNUSUAL
    height = data[start + 1] * 256 + data[start + 2]
    width = data[start + 3] * 256 + data[start + 4]
    components = data[start + 5]
    if components not in (1, 3, 4) or end - start != 6 + 3 * components or not width or not height:
        return UNUSUAL
    return width * 65536 + height
