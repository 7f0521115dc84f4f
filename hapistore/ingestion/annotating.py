"""The verb: what is said of images changes, and no image moves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import pyarrow as pa

from hapistore_format import DatasetVersion, ShardRef, file_digest, write_annotations

from ..catalog import (
    parse_dataset,
    require_commits,
    require_store,
    resolve_version,
)
from ..catalog.names import annotations_name
from ..errors import UsageError
from ..stores import ObjectStore
from .annotation_rows import Counts, change_rows, read_annotations
from .annotation_table import listed, load_table
from .committing import commit_shards
from .locating import Located, locate
from .small_objects import SmallObjects


@dataclass(frozen=True, kw_only=True)
class AnnotateResult:
    """What an annotate did.

    Attributes:
        version: the dataset's newest version; ``committed`` says whether this call made it.
        rows: of the table; shards: how many image shards got new annotations.
        counts: how many images were relabelled, and so on.
        columns_added: metadata columns that the dataset did not have.
    """

    version: DatasetVersion
    committed: bool
    rows: int
    shards: int
    counts: Counts
    columns_added: tuple[str, ...]
    seconds: float


def annotate(
    store: ObjectStore,
    dataset: str,
    table: str | os.PathLike[str] | pa.Table,
    *,
    keep_empty: bool = False,
    retype: Collection[str] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> AnnotateResult:
    """Relabel, put into subsets, add metadata, drop images or bring them back, as a new version.

    Image shards stay as they are, and with them all features. Columns that the table does not have, and images it does
    not name, stay as they are. Where another writer commits first, the table is applied to what it committed.

    Args:
        dataset: its name.
        table: a ``.csv``, ``.jsonl``, ``.ndjson`` or ``.parquet`` file, or an Arrow table; one row an image, joined by
            its column ``key``. ``label`` and ``subset`` are set; ``dropped`` true drops an image, false brings it back,
            null leaves it; all other columns are metadata, lists and structs included.
        keep_empty: a null leaves what is stored, instead of replacing it by null.
        retype: names of columns that may change their type. Each must have a value for every image that is not dropped.
        on_progress: called with (shards looked at, shards in all).

    Raises:
        UsageError: the table or the dataset cannot be used, a key is unknown or there twice, a column would change its
            type; nothing was written.
    """
    started = time.perf_counter()
    name, number = parse_dataset(dataset)
    if number is not None:
        raise UsageError(f"{dataset} names a version, which never changes; annotate {name}")
    require_store(store)
    require_commits(store)
    raced = True
    while raced:
        parent = resolve_version(store, name)
        located = locate(store, parent, on_progress=on_progress)
        change = _Change(store, parent, located, load_table(table, located.types, retype), keep_empty=keep_empty)
        change.check(retype)
        shards = change.write()
        version, raced = commit_shards(store, parent, shards, rewrite=change.small.store_again)
    return AnnotateResult(
        version=version or parent,
        committed=version is not None,
        rows=change.table.num_rows,
        shards=sum(new != old for new, old in zip(shards, parent.shards, strict=True)),
        counts=change.counts,
        columns_added=change.columns_added,
        seconds=time.perf_counter() - started,
    )


class _Change:
    """One table applied to one version."""

    def __init__(
        self, store: ObjectStore, parent: DatasetVersion, located: Located, table: pa.Table, *, keep_empty: bool
    ) -> None:
        self._store, self._parent, self._located, self._keep_empty = store, parent, located, keep_empty
        self.table = table
        self._rows = located.rows_of(table["key"])  # of each shard: its rows, and the table's
        self.counts = Counts()
        known = {name for columns in located.columns for name in columns}
        self.columns_added = tuple(name for name in table.column_names if name not in known)
        self.small = SmallObjects(store)

    def check(self, retype: Collection[str]) -> None:
        """Refuse unknown keys, and new types that not every image gets a value in."""
        unknown = self._located.unknown(self.table["key"])
        if unknown:
            raise UsageError(f"keys that are not in {self._parent.label}: {listed(unknown)}")
        absent = [name for name in retype if name not in self.table.column_names]
        if absent:
            raise UsageError(f"the table has no column {listed(absent)} to change the type of")
        for name in retype:
            given = self.table.filter(self.table[name].is_valid())["key"]
            without = self._located.live_without(given)
            if name in self._located.types and self._located.types[name] != self.table[name].type and without:
                raise UsageError(
                    f"column {name!r} would change its type from {self._located.types[name]} to "
                    f"{self.table[name].type}, and {len(without)} images have no value in the table: {listed(without)}"
                )

    def write(self) -> tuple[ShardRef, ...]:
        """The version's shards, each with new annotations where the table changes something; those are stored."""
        return tuple(self._shard(number, shard) for number, shard in enumerate(self._parent.shards))

    def _shard(self, number: int, shard: ShardRef) -> ShardRef:
        rows, taken = self._rows[number]
        retyped = [
            name for name, kind in self._located.columns[number].items()
            if name in self.table.column_names and kind != self.table[name].type and not pa.types.is_null(kind)
        ]  # fmt: skip
        if not len(rows) and not retyped:
            return shard
        old = read_annotations(self._store, shard)
        changed, counts = change_rows(old, rows, self.table.take(taken), keep_empty=self._keep_empty, retyped=retyped)
        if not counts.any and not retyped and changed.column_names == old.column_names:
            return shard
        data = write_annotations(changed)
        digest = file_digest(data)
        self.counts += counts
        if digest == shard.annotations:
            return shard
        self.small.store(annotations_name(digest), data)
        return replace(shard, annotations=digest)
