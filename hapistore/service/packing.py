"""Small messages in fewer bytes: what describes a shard, around its values, says much twice."""

from __future__ import annotations

from typing import Any

import zstandard

from hapistore_format.codecs.compressors import COMPRESSORS
from hapistore_format.errors import FormatError

from ..errors import TransientError

MOST_PACKED_BYTES = 256 << 10
"""Of a message unpacked. In a larger one what a shard's codec has compressed is nearly all, and to look for more takes
time."""
_LEVEL = 3
# A piece is a block of its own to zstd, which leaves it as it is where it cannot be made smaller: so compressed values
# do not spoil what stands before and behind them.
_PIECE_BYTES = 4 << 10
_LEAST_SAVED_BYTES = 32  # it has to be said that it is packed


def pack(data: memoryview) -> bytes | None:
    """A message's bytes as fewer; None where they stay as they are."""
    if len(data) > MOST_PACKED_BYTES:
        return None
    stream = zstandard.ZstdCompressor(level=_LEVEL).compressobj(size=len(data))
    parts = []
    for start in range(0, len(data), _PIECE_BYTES):
        parts += [stream.compress(data[start : start + _PIECE_BYTES]), stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)]
    packed = b"".join([*parts, stream.flush()])
    return packed if len(packed) + _LEAST_SAVED_BYTES <= len(data) else None


def unpack(data: memoryview, size: Any) -> memoryview:
    """The ``size`` bytes that were packed; nothing else is made of them, whatever came.

    Raises:
        TransientError: they are none, or not as many.
    """
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= MOST_PACKED_BYTES:
        raise _garbled(f"a message claims {size!r:.40} bytes")
    try:
        whole = COMPRESSORS["zstd"].decompress(data, size, where="a message")
    except FormatError as error:
        raise _garbled(str(error)) from error
    if len(whole) != size:
        raise _garbled(f"a message has {len(whole):,} bytes, and claims {size:,}")
    return memoryview(whole)


def _garbled(what: str) -> TransientError:
    return TransientError(what, "check the link to the service, or use grpc+tls", doubtful=True)
