"""Compressors of a block's bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import zstandard

from ..errors import FormatError

# Level 17 is among the smallest and the fastest to decode of all; it encodes thousands of pooled rows a second, many
# times what a network gives, but only 200 rows of a 7×7×1280 map. Those get level 9: 2 % larger, three times as fast.
_LEVEL, _LEVEL_OF_LARGE_ROWS = 17, 9
_LARGE_ROW_BYTES = 8 << 10


class Compressor(NamedTuple):
    """A pair of functions.

    ``compress(values, row_bytes)``: an array's bytes, smaller; the size of one row tells how much time there is.
    ``decompress(data, size, where)``: exactly ``size`` bytes, or FormatError.
    """

    compress: Callable[[np.ndarray, int], bytes]
    decompress: Callable[[memoryview, int, str], bytes]


def _zstd_compress(values: np.ndarray, row_bytes: int) -> bytes:
    level = _LEVEL if row_bytes <= _LARGE_ROW_BYTES else _LEVEL_OF_LARGE_ROWS
    return zstandard.ZstdCompressor(level=level).compress(values.reshape(-1).view(np.uint8).data)


def _zstd_decompress(data: memoryview, size: int, where: str) -> bytes:
    try:
        # The frame's own claim is checked first: it is what the library would allocate.
        claimed = zstandard.frame_content_size(data)
        if claimed != size:
            raise FormatError("bad-block", f"a block unpacks to {claimed} bytes, expected {size}", where=where)
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError("bad-block", f"a block cannot be unpacked: {error}", where=where) from error
    except MemoryError as error:
        raise FormatError(
            "too-large", f"a block claims {size} bytes, more than there is memory", where=where
        ) from error


COMPRESSORS = {"zstd": Compressor(_zstd_compress, _zstd_decompress)}
