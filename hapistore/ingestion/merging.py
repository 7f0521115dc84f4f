"""The shards of a new version: the parent's, with what a source changes of their annotations, then new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hapistore_format import ShardRef, file_digest, write_annotations

from ..catalog import StoredShard
from ..catalog.names import annotations_name
from .offers import Offered, fit
from .parent import Parent
from .small_objects import SmallObjects


class Merge:
    """What a parent version becomes by what was offered.

    Keys of the source get its annotations, where they are already; a record whose image is elsewhere now is dropped
    where it was. Other records stay, but with ``mirror``, which drops what the source does not have.
    """

    def __init__(self, small: SmallObjects, parent: Parent, offered: Offered, *, mirror: bool) -> None:
        self._small, self._parent, self._offered, self._mirror = small, parent, offered, mirror
        self._broken = pa.array(sorted(offered.broken), pa.string())

    def kept(self) -> Iterator[ShardRef]:
        """The parent's shards, annotations stored anew where they changed."""
        for number, (shard, table) in enumerate(zip(self._parent.shards, self._parent.annotations, strict=True)):
            yield self._update(number, shard, table)

    def added(self, stored: Sequence[StoredShard], layout: str) -> Iterator[ShardRef]:
        """New shards with their annotations, but for those of which another writer has every image already."""
        for number, (shard, offers) in enumerate(zip(stored, self._offered.contents, strict=True)):
            dropped = self._offered.shards[offers] != -1 - number
            if not dropped.all():
                table = _set_dropped(self._offered.table.take(pa.array(offers)), dropped)
                yield ShardRef(
                    images=shard.digest,
                    annotations=self._store_annotations(table),
                    layout=layout,
                    rows=len(offers),
                    bytes=shard.bytes,
                )

    def _update(self, number: int, shard: ShardRef, table: pa.Table) -> ShardRef:
        found = pc.index_in(table["key"].combine_chunks(), self._offered.keys)
        is_offered = found.is_valid().to_numpy(zero_copy_only=False)
        was_dropped = table["dropped"].to_numpy()
        gone = self._gone(table, is_offered)
        if not is_offered.any() and not (gone & ~was_dropped).any():
            return shard
        offers = found.fill_null(0).to_numpy()
        here = np.zeros(len(table), bool)
        if is_offered.any():
            is_home = (self._offered.shards[offers] == number) & (self._offered.rows[offers] == np.arange(len(table)))
            here = is_offered & is_home
        after = _set_dropped(self._annotate(table, here, offers), np.where(is_offered, ~here, was_dropped | gone))
        return self._store_changed(shard, table, after)

    def _gone(self, table: pa.Table, is_offered: np.ndarray) -> np.ndarray:
        """Rows that a mirrored source does not have any more."""
        if not self._mirror:
            return np.zeros(len(table), bool)
        return ~is_offered & ~pc.is_in(table["key"], value_set=self._broken).to_numpy()

    def _annotate(self, table: pa.Table, here: np.ndarray, offers: np.ndarray) -> pa.Table:
        """What the source says of its rows, else what was said."""
        schema = self._offered.table.schema
        whole = fit(table, schema)
        rows = pa.array(np.where(here, len(table) + offers, np.arange(len(table))))
        columns = {name: whole[name] for name in schema.names}
        for name in self._offered.said:
            both = pa.chunked_array([*whole[name].chunks, *self._offered.table[name].chunks], schema.field(name).type)
            columns[name] = both.take(rows)
        return pa.table(columns, schema=schema)

    def _store_changed(self, shard: ShardRef, before: pa.Table, after: pa.Table) -> ShardRef:
        new = [name for name in after.column_names if name not in before.column_names]
        after = after.drop_columns([name for name in new if after[name].null_count == len(after)])
        if after.schema == before.schema and all(after[name].equals(before[name]) for name in after.column_names):
            return shard
        # Else the digest tells: to Arrow, a value that is not a number does not even equal itself.
        return replace(shard, annotations=self._store_annotations(after))

    def _store_annotations(self, table: pa.Table) -> str:
        # By way of Python, so that equal annotations are of equal bytes, whatever lies below their nulls.
        data = write_annotations(pa.Table.from_pylist(table.to_pylist(), schema=table.schema))
        digest = file_digest(data)
        self._small.store(annotations_name(digest), data)
        return digest


def _set_dropped(table: pa.Table, dropped: np.ndarray) -> pa.Table:
    return table.set_column(table.column_names.index("dropped"), "dropped", pa.array(dropped, pa.bool_()))
