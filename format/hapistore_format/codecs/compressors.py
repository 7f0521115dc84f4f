"""Compressors of a block's bytes."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import zstandard

from ..errors import FormatError

# Level 17 is the smallest that decodes at full speed; it encodes tens of thousands of pooled rows a second, many
# times what a network gives, but few of a 7×7×1280
# map. Those get level 9: 1 % larger, five times as fast.
_LEVEL, _LEVEL_OF_LARGE_ROWS = 17, 9
_LARGE_ROW_BYTES = 8 << 10
# A block of a zstd frame has at least 4 bytes and unpacks to at most 128 KiB (RFC 8878, section 3.1.1.2).
_MOST_BYTES_OF_ONE = (128 << 10) // 4
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
        if not 0 <= claimed <= len(data) * _MOST_BYTES_OF_ONE:
            raise FormatError("bad-block", f"{len(data)} bytes of a block claim to unpack to {claimed}", where=where)
        return claimed

    def decompress(self, data: memoryview, most_bytes: int, *, where: str) -> bytes:
        claimed = self.unpacked_bytes(data, where=where)  # it is what the library would allocate
        if claimed > most_bytes:
            raise FormatError(
                "bad-block", f"a block claims {claimed} bytes, expected at most {most_bytes}", where=where
            )
        try:
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=claimed, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise FormatError("bad-block", f"a block cannot be unpacked: {error}", where=where) from error
        except MemoryError as error:
            raise FormatError(
                "too-large", f"a block claims {claimed} bytes, more than there is memory", where=where
            ) from error


COMPRESSORS: dict[str, Compressor] = {"zstd": _Zstd()}
