"""What a job's sink was told, over all the times that the job is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hapistore_format import DatasetVersion, ShardRef

from ...catalog.features import ShardFeatures
from ..sink import NoSink, ShardSink


class Told:
    """Hands on to a sink, and knows what need not be told again.

    A job that keeps nothing cannot see in the store what it has done before it was paused.
    """

    def __init__(self, sink: ShardSink | None) -> None:
        self._sink = sink or NoSink()
        self._finished: set[str] = set()

    def rest(self, version: DatasetVersion) -> DatasetVersion:
        """A version without the shards that were told as finished."""
        return replace(version, shards=tuple(s for s in version.shards if s.images not in self._finished))

    def begin(self, shard: ShardRef) -> None:
        self._sink.begin(shard)

    def rows(self, shard: ShardRef, rows: Sequence[int], features: np.ndarray) -> None:
        self._sink.rows(shard, rows, features)

    def finished(self, shard: ShardRef, features: ShardFeatures) -> None:
        self._sink.finished(shard, features)
        self._finished.add(shard.images)

    def stored(self, shard: ShardRef, made: Mapping[str, bytes | memoryview]) -> None:
        self._sink.stored(shard, made)
