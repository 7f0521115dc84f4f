"""Compressors of a block's bytes."""

from __future__ import annotations

import struct
from typing import Any, Protocol

import lz4.block
import numpy as np
import zstandard

from ..errors import FormatError

# Level 17 is the smallest that decodes at full speed; it encodes tens of thousands of pooled rows a second, many
# times what a network gives, but few of a 7×7×1280
# map. Those get level 9: 1 % larger, five times as fast.
_LEVEL, _LEVEL_OF_LARGE_ROWS = 17, 9
_LARGE_ROW_BYTES = 8 << 10
# A block of a zstd frame has at least 4 bytes and unpacks to at most 128 KiB (RFC 8878, section 3.1.1.2). A byte of an
# LZ4 block adds at most 255 to the length of a match (LZ4 Block Format Description).
_MOST_BYTES_OF_ONE, _MOST_BYTES_OF_ONE_LZ4 = (128 << 10) // 4, 255
_MOST_BYTES_LZ4 = 0x7E00_0000
_LZ4_LEVEL = 9
# Entropy coding with hardly any search for repetitions: where there are few, those it finds make blocks larger.
_NO_SEARCH = zstandard.ZstdCompressionParameters.from_level(
    1, strategy=zstandard.STRATEGY_FAST, min_match=7, search_log=1, hash_log=6, chain_log=6
)


class Compressor(Protocol):
    """Bytes to fewer bytes and back."""

    def compress(self, data: np.ndarray, row_bytes: int) -> bytes:
        """uint8 [n], smaller. The size of one row tells how much time there is."""

    def sketch(self, data: np.ndarray) -> bytes:
        """A quick compression, to compare sizes by."""

    def unpacked_bytes(self, data: memoryview, *, where: str) -> int:
        """How many bytes ``decompress`` will make, as far as can be said without making them.

        Raises:
            FormatError: ``bad-block``.
        """

    def decompress(self, data: memoryview, most_bytes: int, *, where: str) -> bytes:
        """What was compressed, at most ``most_bytes``.

        Raises:
            FormatError: ``bad-block`` or ``too-large``.
        """


class _Zstd:
    def compress(self, data: np.ndarray, row_bytes: int) -> bytes:
        level = _LEVEL if row_bytes <= _LARGE_ROW_BYTES else _LEVEL_OF_LARGE_ROWS
        searched = zstandard.ZstdCompressor(level=level).compress(data.data)
        return min(self.sketch(data), searched, key=len)

    def sketch(self, data: np.ndarray) -> bytes:
        return zstandard.ZstdCompressor(compression_params=_NO_SEARCH).compress(data.data)

    def unpacked_bytes(self, data: memoryview, *, where: str) -> int:
        try:
            claimed = zstandard.frame_content_size(data)
        except zstandard.ZstdError as error:
            raise FormatError("bad-block", f"a block cannot be unpacked: {error}", where=where) from error
        return _check_claim(claimed, len(data), _MOST_BYTES_OF_ONE, where)

    def decompress(self, data: memoryview, most_bytes: int, *, where: str) -> bytes:
        claimed = _check_limit(self.unpacked_bytes(data, where=where), most_bytes, where)
        try:
            if not claimed:  # of which the library would read no more than the claim
                return self._decompress_nothing(data, where)
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=claimed, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise FormatError("bad-block", f"a block cannot be unpacked: {error}", where=where) from error
        except MemoryError as error:
            raise _beyond_memory(claimed, where) from error

    def _decompress_nothing(self, data: memoryview, where: str) -> bytes:
        frame = zstandard.ZstdDecompressor().decompressobj()
        content = frame.decompress(data)
        if content or not frame.eof or frame.unused_data:
            raise FormatError("bad-block", "a block that claims to be empty is not", where=where)
        return content


class _Lz4:
    """Size of the content, uint32, and one LZ4 block."""

    def compress(self, data: np.ndarray, row_bytes: int) -> bytes:
        return self._pack(data, mode="high_compression", compression=_LZ4_LEVEL)

    def sketch(self, data: np.ndarray) -> bytes:
        return self._pack(data, mode="default")

    def _pack(self, data: np.ndarray, **options: Any) -> bytes:
        if data.nbytes > _MOST_BYTES_LZ4:
            raise FormatError("too-large", f"a block has {data.nbytes} bytes, lz4 takes {_MOST_BYTES_LZ4}; choose zstd")
        packed: bytes = lz4.block.compress(data.data, store_size=True, **options)
        return packed

    def unpacked_bytes(self, data: memoryview, *, where: str) -> int:
        if len(data) < 4:
            raise FormatError("bad-block", f"a block has {len(data)} bytes, less than a size", where=where)
        return _check_claim(struct.unpack_from("<I", data)[0], len(data) - 4, _MOST_BYTES_OF_ONE_LZ4, where)

    def decompress(self, data: memoryview, most_bytes: int, *, where: str) -> bytes:
        claimed = _check_limit(self.unpacked_bytes(data, where=where), most_bytes, where)
        try:
            content: bytes = lz4.block.decompress(data[4:], uncompressed_size=claimed)
        except lz4.block.LZ4BlockError as error:
            raise FormatError("bad-block", f"a block cannot be unpacked: {error}", where=where) from error
        except MemoryError as error:
            raise _beyond_memory(claimed, where) from error
        if len(content) != claimed:
            raise FormatError("bad-block", f"a block unpacks to {len(content)} bytes, not {claimed}", where=where)
        return content


def _check_claim(claimed: int, size: int, most_of_one: int, where: str) -> int:
    """Refuse what no compressed bytes of that size can unpack to: the library would allocate it."""
    if not 0 <= claimed <= size * most_of_one:
        raise FormatError("bad-block", f"{size} bytes of a block claim to unpack to {claimed}", where=where)
    return claimed


def _check_limit(claimed: int, most_bytes: int, where: str) -> int:
    if claimed > most_bytes:
        raise FormatError("bad-block", f"a block claims {claimed} bytes, expected at most {most_bytes}", where=where)
    return claimed


def _beyond_memory(claimed: int, where: str) -> FormatError:
    return FormatError("too-large", f"a block claims {claimed} bytes, more than there is memory", where=where)


COMPRESSORS: dict[str, Compressor] = {"zstd": _Zstd(), "lz4": _Lz4()}
"""``zstd`` is smaller, ``lz4`` faster to unpack."""
