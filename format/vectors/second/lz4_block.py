"""The content size and one LZ4 block (LZ4 Block Format Description), believed only as far as it can be true."""

from __future__ import annotations

import struct

from .refused import Refused, check

MOST_OF_A_BYTE = 255  # bytes that a byte of a block can unpack to
LEAST_MATCH = 4


def unpack_lz4(data: bytes, least: int, most: int) -> bytes:
    """The content, of ``least`` to ``most`` bytes (bad-block)."""
    check(len(data) >= 4, "bad-block", "no size")
    (size,) = struct.unpack_from("<I", data)
    check(size <= MOST_OF_A_BYTE * (len(data) - 4), "bad-block", f"{len(data) - 4} bytes that claim {size}")
    check(least <= size <= most, "bad-block", f"{size} bytes instead of {least} to {most}")
    try:
        content = _unpack(data[4:], size)
    except IndexError:
        raise Refused("bad-block", "an LZ4 block that is cut off") from None
    check(len(content) == size, "bad-block", f"{len(content)} bytes instead of {size}")
    return content


def _unpack(block: bytes, size: int) -> bytes:
    out = bytearray()
    at = 0
    while True:
        token = block[at]
        literals, at = _length(block, at + 1, token >> 4)
        check(at + literals <= len(block), "bad-block", "an LZ4 block that is cut off")
        out += block[at : at + literals]
        at += literals
        if at == len(block):
            return bytes(out)
        back = block[at] | block[at + 1] << 8
        match, at = _length(block, at + 2, token & 15)
        check(1 <= back <= len(out), "bad-block", f"a match {back} bytes back of {len(out)}")
        check(len(out) + match + LEAST_MATCH <= size, "bad-block", "a match beyond the content")
        for _ in range(match + LEAST_MATCH):
            out.append(out[-back])


def _length(block: bytes, at: int, short: int) -> tuple[int, int]:
    """A length of four bits, and where it ends: 15 goes on in bytes of which the last is not 255."""
    length = short
    while short == 15:
        length += block[at]
        at += 1
        if block[at - 1] != 255:
            break
    return length, at


def pack_lz4(content: bytes) -> bytes:
    """A block of literals, which is as good as any; the content stands at its end."""
    size = len(content)
    if size < 15:
        head = bytes([size << 4])
    else:
        rest = size - 15
        head = bytes([15 << 4, *[255] * (rest // 255), rest % 255])
    return struct.pack("<I", size) + head + content
