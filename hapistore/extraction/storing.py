"""Encoding and storing features of one shard while those of the next are computed."""

from __future__ import annotations

import math
import queue
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from hapistore_format import MissingRow, Recipe

from ..catalog.features import FeatureTask, ShardFeatures, store_features
from ..stores import ObjectStore
from .trace import Trace

# One is filled while the other is encoded.
_BUFFERS = 2
# What all rooms may take where an image has several variants; of one variant there are always two.
_ROOM_BYTES, _SHARE_OF_BUDGET = 512 << 20, 8


def most_at_once(rows: int, shape: tuple[int, ...], memory_bytes: int) -> int:
    """How many variants of shards of so many rows may be computed together, by the rooms that they take."""
    room = _BUFFERS * rows * math.prod(shape) * 4
    return max(1, min(_ROOM_BYTES, memory_bytes // _SHARE_OF_BUDGET) // room)


class StoredShard(NamedTuple):
    """What is in the store now of one task.

    Attributes:
        missing: rows that have no features. made: the feature shards that are there by this task, by codec.
    """

    recipe: Recipe
    task: FeatureTask
    missing: tuple[MissingRow, ...]
    made: Mapping[str, bytes | memoryview]


class FeatureStoring:
    """Takes the features of whole shards, in memory that is used again.

    Leaving it waits for what has begun.

    Args:
        most_rows, shape: of the largest shard. together: how many variants of a shard are filled at once; ahead: of how
            many shards there is room for, at most two.
        stored: told of every task that is done, from the thread that encodes.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        most_rows: int,
        shape: tuple[int, ...],
        together: int = 1,
        ahead: int = _BUFFERS,
        trace: Trace,
        stored: Callable[[StoredShard], None] = lambda shard: None,
    ) -> None:
        self._store, self._trace, self._stored = store, trace, stored
        self._most = min(_BUFFERS, ahead) * together
        self._free: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
        for _ in range(self._most):
            room = np.empty((most_rows, *shape), np.float32)
            room.fill(0)  # touched now, so that its memory is part of what stands still
            self._free.put(room)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hapistore-encode")
        self._running: deque[Future[None]] = deque()

    def __enter__(self) -> FeatureStoring:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def room(self) -> np.ndarray:
        """float32 [most_rows, *shape] to fill, as soon as there is one; what went wrong meanwhile is raised here."""
        self._check(wait=len(self._running) == self._most)
        return self._free.get()

    def store(
        self,
        recipe: Recipe,
        task: FeatureTask,
        room: np.ndarray,
        missing: tuple[MissingRow, ...],
        provenance: dict[str, Any],
    ) -> None:
        """Encode and store the first rows of a room, which is another's afterwards.

        Raises:
            HapistoreError: a shard before it could not be encoded or stored.
        """
        self._running.append(self._thread.submit(self._store_one, recipe, task, room, missing, provenance))
        self._check()

    def finish(self) -> None:
        """Wait until all is stored."""
        while self._running:
            self._running.popleft().result()

    def _check(self, *, wait: bool = False) -> None:
        while self._running and (wait or self._running[0].done()):
            self._running.popleft().result()
            wait = False

    def _store_one(
        self,
        recipe: Recipe,
        task: FeatureTask,
        room: np.ndarray,
        missing: tuple[MissingRow, ...],
        provenance: dict[str, Any],
    ) -> None:
        features = ShardFeatures(room[: task.shard.rows], missing)
        try:
            made = store_features(self._store, recipe, task, features, provenance, timed=self._trace.span)
        finally:
            self._free.put(room)
        self._stored(StoredShard(recipe, task, missing, made))
