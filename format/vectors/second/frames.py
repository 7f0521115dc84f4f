"""One zstd frame that states what it unpacks to, believed only as far as it can be true (reading.md)."""

from __future__ import annotations

import zstandard

from .refused import Refused, check

MOST_OF_A_BYTE = 32 << 10  # bytes that a byte of a frame can unpack to


def unpack_frame(frame: bytes, least: int, most: int, code: str) -> bytes:
    """The content, of ``least`` to ``most`` bytes; a frame that is none is refused with ``code``."""
    try:
        size = zstandard.frame_content_size(frame)
        check(size >= 0, code, "a frame of unknown size")
        check(size <= MOST_OF_A_BYTE * len(frame), code, f"a frame of {len(frame)} bytes that claims {size}")
        check(least <= size <= most, code, f"{size} bytes instead of {least} to {most}")
        unpacker = zstandard.ZstdDecompressor().decompressobj()
        content = unpacker.decompress(frame)
    except zstandard.ZstdError as error:
        raise Refused(code, f"a frame that cannot be unpacked: {error}") from None
    check(unpacker.eof and len(content) == size, code, "a frame that is cut off")
    check(not unpacker.unused_data, code, "bytes behind the frame")
    return content


def pack_frame(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(content)
