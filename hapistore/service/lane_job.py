"""A job of a lane: what of all that waits goes into it, and who is told what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hapistore_format import DatasetVersion, ShardRef

from ..catalog.features import ShardFeatures
from ..extraction import ExtractionJob, LoadsPrefix
from .making import Making, Wish

_MOST_SHARDS, _MOST_ROWS = 16, 512
"""Of a job; one shard at least."""


def together(waiting: Sequence[Making]) -> list[Making]:
    """What goes into one job with the first: whatever is of its kind, of any tenant and dataset, in order."""
    kind = _kind(waiting[0].wish)
    chosen: list[Making] = []
    rows = 0
    for making in waiting:
        if _kind(making.wish) != kind:
            continue
        rows += making.wish.shard.rows
        if chosen and (rows > _MOST_ROWS or len(chosen) == _MOST_SHARDS):
            break
        chosen.append(making)
    return chosen


def job_of(name: str, makings: Sequence[Making], *, network: LoadsPrefix, weight: float) -> ExtractionJob:
    """A job that makes some wishes of one kind, whose shards come as a version that is no tenant's.

    Args:
        weight: its share of the machine; turns are the lanes' among each other.
    """
    wish = makings[0].wish
    shards = {making.wish.shard.images: making for making in makings}
    return ExtractionJob(
        name=name,
        dataset=DatasetVersion(
            dataset="service",
            number=1,
            shards=tuple(making.wish.shard for making in shards.values()),
            created=wish.version.created,
        ),
        network=network,
        codecs=(wish.codec,),
        precision=wish.plain.precision,
        augmentation=wish.augmentation,
        keep=wish.keep,
        sink=_Sink(shards),
        tenant=wish.plain.digest,
        weight=weight,
        memory_bytes=wish.tenant.memory_bytes,
        looked_for=True,
    )


def _kind(wish: Wish) -> tuple[object, ...]:
    """Wishes for one network's features, of which one job can make all."""
    return wish.codec, wish.keep, wish.augmentation, wish.tenant.memory_bytes


class _Sink:
    """Tells each shard's making what comes of it."""

    def __init__(self, makings: dict[str, Making]) -> None:
        self._makings = makings

    def begin(self, shard: ShardRef) -> None:
        self._makings[shard.images].begin()

    def rows(self, shard: ShardRef, rows: Sequence[int], features: np.ndarray) -> None:
        self._makings[shard.images].add(rows, features)

    def finished(self, shard: ShardRef, features: ShardFeatures) -> None:
        self._makings[shard.images].finish(features)

    def stored(self, shard: ShardRef, made: Mapping[str, bytes | memoryview]) -> None:
        making = self._makings[shard.images]
        making.stored(made.get(making.wish.codec))
