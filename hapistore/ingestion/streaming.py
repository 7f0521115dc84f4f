"""Records into image shards: one is filled while the one before is on its way to the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from hapistore_format import ImageRecord
from hapistore_format.image_shard_arrow import BLOCK_BYTES, ROW_BYTES

from ..catalog import StoredShard
from ..catalog.image_writers import ShardWriter, new_shard_writer
from ..catalog.images import store_shard_file
from ..errors import HapistoreError
from ..stores import ObjectStore
from ..units import format_bytes
from .buffers import Pool

# Blocks that wait to be laid into a shard, beside the one that is: their records are held in memory.
_BLOCKS = 2


class ShardStream:
    """New image shards, cut where the next image would exceed ``shard_bytes``.

    Images are laid into their shard a block at a time, so what they were read into is soon free for others. Leaving it
    waits for uploads that have begun, and begins no other.

    Attributes:
        rows: of each shard that was closed, in order.
    """

    def __init__(self, store: ObjectStore, *, shard_bytes: int, layout: str) -> None:
        self._store, self._shard_bytes, self._layout = store, shard_bytes, layout
        self._laying = ThreadPoolExecutor(1, thread_name_prefix="hapistore-shard")
        self._uploading = ThreadPoolExecutor(1, thread_name_prefix="hapistore-upload")
        self._rooms = Pool()
        self._laid: deque[Future[None]] = deque()
        self._upload: Future[StoredShard] | None = None
        self._stored: list[StoredShard] = []
        self._writer: ShardWriter | None = None
        self._block: list[ImageRecord] = []
        self._block_bytes = self._filled_rows = self._filled_bytes = 0
        self.rows: list[int] = []

    def __enter__(self) -> ShardStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._laying.shutdown(wait=True, cancel_futures=True)
        self._uploading.shutdown(wait=True, cancel_futures=True)

    def add(self, record: ImageRecord) -> tuple[int, int]:
        """Put a record into the shard that is being filled; returns that shard's number and the row."""
        size = len(record.image)
        if self._filled_rows and self._filled_bytes + size + ROW_BYTES > self._shard_bytes:
            self._close_shard()
        elif self._block and self._block_bytes + size > BLOCK_BYTES:
            self._lay_block()
        self._block.append(record)
        self._block_bytes += size
        self._filled_rows += 1
        self._filled_bytes += size + ROW_BYTES
        return len(self.rows), self._filled_rows - 1

    def finish(self) -> Sequence[StoredShard]:
        """Store what is left; every new shard in order."""
        if self._filled_rows:
            self._close_shard()
        self._await_upload()
        return self._stored

    def _lay_block(self, *, last: bool = False) -> ShardWriter:
        """Have the block laid into the shard that is being filled, which is returned."""
        if self._writer is None:
            # One image may be larger than a shard should be.
            most_bytes = self._filled_bytes if last else max(self._shard_bytes, self._filled_bytes)
            self._writer = new_shard_writer(self._layout, most_bytes, take_room=self._take_room)
        while len(self._laid) > _BLOCKS:
            self._laid.popleft().result()
        self._laid.append(self._laying.submit(_lay, self._writer, self._block))
        self._block, self._block_bytes = [], 0
        return self._writer

    def _close_shard(self) -> None:
        writer = self._lay_block(last=True)
        self._await_upload()  # so that two shards are in memory, and no more
        self._upload = self._uploading.submit(self._store_shard, writer, tuple(self._laid))
        self.rows.append(self._filled_rows)
        self._writer = None
        self._filled_rows = self._filled_bytes = 0

    def _take_room(self, size: int) -> np.ndarray:
        try:
            return self._rooms.take(size)
        except MemoryError:
            found = f"a shard of {format_bytes(size)} does not fit in memory"
            raise HapistoreError(f"{found}; choose smaller shards (--shard-size)") from None

    def _await_upload(self) -> None:
        if self._upload:
            self._stored.append(self._upload.result())
        self._upload = None

    def _store_shard(self, writer: ShardWriter, laid: Sequence[Future[None]]) -> StoredShard:
        for block in laid:
            block.result()
        return store_shard_file(self._store, writer.finish())


def _lay(writer: ShardWriter, block: list[ImageRecord]) -> None:
    writer.write(block)
    block.clear()  # what waits for this refers to them no longer
