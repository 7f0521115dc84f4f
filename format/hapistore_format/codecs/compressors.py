"""Compressors of a block's bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import zstandard

from ..errors import FormatError

# Measured on pooled 8-bit features: among the smallest and the fastest to decode of all levels, and thousands of
# rows a second to encode, many times what a network gives.
_ZSTD_LEVEL = 17


class Compressor(NamedTuple):
    """``decompress(data, size, where)`` returns exactly ``size`` bytes or raises FormatError."""

    compress: Callable[[np.ndarray], bytes]
    decompress: Callable[[memoryview, int, str], bytes]


def _zstd_compress(values: np.ndarray) -> bytes:
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(values.reshape(-1).view(np.uint8).data)


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
