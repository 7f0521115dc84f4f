"""Where a version has its keys. One look at the annotations, of which only keys and types are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hapistore_format import DatasetVersion

from ..stores import ObjectStore
from ..threads import map_ahead
from .annotation_rows import read_annotations

_THREADS = 4


class Located:
    """Keys of a version, and which row each one means.

    A key may be there several times: an image that was replaced keeps its row, dropped, and the new one has another. It
    means the one that is not dropped; where all are, the last.

    Attributes:
        types: of each column that has a value somewhere; columns: of each shard, the types of all its columns.
    """

    def __init__(self) -> None:
        self.types: dict[str, pa.DataType] = {}
        self.columns: list[dict[str, pa.DataType]] = []
        self._keys: list[pa.Array] = []
        self._live: list[np.ndarray] = []

    def add(self, table: pa.Table) -> None:
        """Take note of the next shard's annotations."""
        self.columns.append({field.name: field.type for field in table.schema})
        for field in table.schema:
            if not pa.types.is_null(field.type) and table[field.name].null_count < table.num_rows:
                self.types.setdefault(field.name, field.type)
        self._keys.append(table["key"].combine_chunks())
        self._live.append(~table["dropped"].to_numpy(zero_copy_only=False))

    def rows_of(self, keys: pa.ChunkedArray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each shard: the rows that keys of a table mean, and the table's rows; int64 [k] each."""
        wanted = keys.combine_chunks()
        places: np.ndarray = np.full((len(wanted), 2), -1, np.int64)  # shard, row
        is_live: np.ndarray = np.zeros(len(wanted), bool)
        for number, rows, taken in self._found(wanted):
            live = self._live[number][rows]
            takes = live | ~is_live[taken]
            places[taken[takes]] = np.stack([np.full(takes.sum(), number), rows[takes]], axis=1)
            is_live[taken] |= live
        found = []
        for number in range(len(self._keys)):
            taken = np.flatnonzero(places[:, 0] == number)
            found.append((places[taken, 1], taken))
        return found

    def unknown(self, keys: pa.ChunkedArray) -> list[str]:
        """Keys of a table that the version does not have, in the table's order."""
        wanted = keys.combine_chunks()
        known: np.ndarray = np.zeros(len(wanted), bool)
        for _, _, taken in self._found(wanted):
            known[taken] = True
        return list(wanted.filter(pa.array(~known)).to_pylist())

    def live_without(self, keys: pa.ChunkedArray) -> list[str]:
        """Keys of images that are not dropped and not among these."""
        without: list[str] = []
        for all_keys, live in zip(self._keys, self._live, strict=True):
            absent = pc.and_(pc.invert(pc.is_in(all_keys, value_set=keys.combine_chunks())), pa.array(live))
            without += all_keys.filter(absent).to_pylist()
        return without

    def _found(self, wanted: pa.Array) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Of each shard: its rows whose key is wanted, and where among the wanted that key stands."""
        for number, keys in enumerate(self._keys):
            places = pc.fill_null(pc.index_in(keys, value_set=wanted), -1).to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(places >= 0)
            yield number, rows, places[rows]


def locate(
    store: ObjectStore, version: DatasetVersion, *, on_progress: Callable[[int, int], None] | None = None
) -> Located:
    """Read a version's annotations, some shards at once.

    Args:
        on_progress: called with (shards done, shards in all).

    Raises:
        FormatError: they are damaged.
    """
    located = Located()
    tables = map_ahead(
        lambda shard: read_annotations(store, shard),
        version.shards,
        threads=_THREADS,
        ahead=_THREADS,
        name="hapistore-read",
    )
    for done, table in enumerate(tables, 1):
        located.add(table)
        if on_progress:
            on_progress(done, len(version.shards))
    return located
