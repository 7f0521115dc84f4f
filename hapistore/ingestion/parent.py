"""The version that an ingest builds on, with its annotations; and moving a pass onto a later one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hapistore_format import DatasetVersion, ShardRef

from ..catalog import open_image_shard
from ..stores import ObjectStore
from ..threads import map_ahead
from .annotation_rows import read_annotations
from .offers import Offered

_THREADS, _AHEAD = 8, 32


@dataclass(frozen=True, kw_only=True)
class Parent:
    """A version's shards and their annotations; nothing where a dataset is new."""

    number: int
    shards: tuple[ShardRef, ...]
    annotations: tuple[pa.Table, ...]

    @classmethod
    def load(cls, store: ObjectStore, version: DatasetVersion | None) -> Parent:
        """Read the annotations of a version.

        Raises:
            NotFound: one is lost.
            FormatError: one is damaged.
        """
        if version is None:
            return cls(number=0, shards=(), annotations=())

        read = partial(read_annotations, store)
        tables = map_ahead(read, version.shards, threads=_THREADS, ahead=_AHEAD, name="hapistore-annotations")
        return cls(number=version.number, shards=version.shards, annotations=tuple(tables))


class ParentMoved(Exception):
    """A later version lacks shards that a pass counts on: its source must be read again."""


def rebase(store: ObjectStore, offered: Offered, passed: Parent, newest: Parent) -> Offered:
    """What a pass over a source found, as if it had been made on a later version.

    Where another writer has stored the same image under the same key meanwhile, that one is taken.

    Raises:
        ParentMoved: shards are gone from the dataset.
    """
    matched = _match(passed, newest)
    table = np.array([*matched, 0], np.int64)
    there = offered.shards >= 0
    shards = np.where(there, table[np.where(there, offered.shards, -1)], offered.shards)
    rows = offered.rows.copy()
    for number in sorted(set(range(len(newest.shards))) - set(matched)):
        annotations = newest.annotations[number]
        found = pc.index_in(annotations["key"].combine_chunks(), offered.keys)
        shared = pc.and_(pc.invert(annotations["dropped"].combine_chunks()), found.is_valid()).to_pylist()
        if any(shared):
            digests = open_image_shard(store, newest.shards[number]).record_digests()
            for row, offer in enumerate(found.to_pylist()):
                if shared[row] and digests[row] == offered.digests[offer]:
                    shards[offer], rows[offer] = number, row
    return replace(offered, shards=shards, rows=rows)


def _match(passed: Parent, newest: Parent) -> list[int]:
    """Where a later version has each shard of an earlier one."""
    places: list[int] = []
    for shard, table in zip(passed.shards, passed.annotations, strict=True):
        for number, there in enumerate(newest.shards):
            # Two shards may be of the same images, under other keys.
            if there.images != shard.images or number in places:
                continue
            if there == shard or newest.annotations[number]["key"].equals(table["key"]):
                places.append(number)
                break
        else:
            raise ParentMoved
    return places
