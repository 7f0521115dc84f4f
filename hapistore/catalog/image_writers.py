"""Image shards that grow block by block, in either layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from hapistore_format import ImageRecord, write_lmdb_image_shard
from hapistore_format.image_shard_arrow import ImageShardWriter, room_bytes

TakeRoom = Callable[[int], np.ndarray]


class ShardFile(NamedTuple):
    """An image shard, serialised and not yet stored. The LMDB layout has a seal beside it."""

    digest: str
    layout: str
    data: memoryview
    seal: bytes | None


class ShardWriter(Protocol):
    """One image shard in the making."""

    def write(self, block: Sequence[ImageRecord]) -> None:
        """Add some rows."""

    def finish(self) -> ShardFile:
        """The shard of all rows that were added."""


def new_shard_writer(layout: str, most_bytes: int, *, take_room: TakeRoom | None = None) -> ShardWriter:
    """A shard of no rows yet.

    Args:
        most_bytes: which its images, with ``ROW_BYTES`` for each, do not exceed.
        take_room: given a number of bytes, returns at least so much memory, uint8, in which the file may stay.
    """
    if layout == "lmdb":
        return _LmdbWriter()
    size = room_bytes(most_bytes)
    return _ArrowWriter(np.empty(size, np.uint8) if take_room is None else take_room(size))


class _ArrowWriter:
    def __init__(self, room: np.ndarray) -> None:
        self._writer = ImageShardWriter(room)

    def write(self, block: Sequence[ImageRecord]) -> None:
        self._writer.write(block)

    def finish(self) -> ShardFile:
        digest, data = self._writer.finish()
        del self._writer  # so that the room is free when the file is, whoever still has this
        return ShardFile(digest, "arrow", data, None)


class _LmdbWriter:
    """LMDB is given all rows at once: the size of its map must be known."""

    def __init__(self) -> None:
        self._records: list[ImageRecord] = []

    def write(self, block: Sequence[ImageRecord]) -> None:
        self._records += block

    def finish(self) -> ShardFile:
        digest, data, seal = write_lmdb_image_shard(self._records)
        self._records.clear()
        return ShardFile(digest, "lmdb", data, seal)
