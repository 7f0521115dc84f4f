"""Records into image shards: one is filled while others are on their way to the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from hapistore_format import ImageRecord

from ..catalog import StoredShard, store_image_shard
from ..stores import ObjectStore

# Two, so that one is written while another waits for the disk; each is held in memory.
_UPLOADS = 2


class ShardStream:
    """New image shards, cut where the next image would exceed ``shard_bytes``.

    Leaving it waits for uploads that have begun, and begins no other.

    Attributes:
        rows: of each shard that was closed, in order.
    """

    def __init__(self, store: ObjectStore, *, shard_bytes: int, layout: str) -> None:
        self._store, self._shard_bytes, self._layout = store, shard_bytes, layout
        self._pool = ThreadPoolExecutor(_UPLOADS, thread_name_prefix="hapistore-upload")
        self._uploads: deque[Future[StoredShard]] = deque()
        self._stored: list[StoredShard] = []
        self._records: list[ImageRecord] = []
        self._filled_bytes = 0
        self.rows: list[int] = []

    def __enter__(self) -> ShardStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, record: ImageRecord) -> tuple[int, int]:
        """Put a record into the shard that is being filled; returns that shard's number and the row."""
        if self._records and self._filled_bytes + len(record.image) > self._shard_bytes:
            self._close_shard()
        self._records.append(record)
        self._filled_bytes += len(record.image)
        return len(self.rows), len(self._records) - 1

    def finish(self) -> Sequence[StoredShard]:
        """Store what is left; every new shard in order."""
        if self._records:
            self._close_shard()
        while self._uploads:
            self._stored.append(self._uploads.popleft().result())
        return self._stored

    def _close_shard(self) -> None:
        while len(self._uploads) >= _UPLOADS:
            self._stored.append(self._uploads.popleft().result())
        self._uploads.append(self._pool.submit(store_image_shard, self._store, self._records, self._layout))
        self.rows.append(len(self._records))
        self._records, self._filled_bytes = [], 0
