"""What training predicts: one annotation column as an array, and which rows a subset selects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hapistore_format import SUBSETS, AnnotationShard, DatasetVersion

from ..catalog.names import annotations_name
from ..catalog.reading import read_all
from ..errors import UsageError
from ..stores import ObjectStore

_NUMBER = "\0number"


class Targets:
    """Annotations of one dataset version, read once.

    Args:
        where: an expression over the columns, of rows to select; a row of which it is null is not.
        more: names of further columns wanted.

    Attributes:
        rows: int64 [n], the row numbers (over all shards in order) that are selected; dropped ones and ``left_out``
            never are.
        more: these columns of all rows of the version, by name.
        values: int64 (classes, integers) or float32 (real numbers), one a row of the version; None without a target.
        classes: names of the classes, sorted, where the column is text; a class's index is its target.
    """

    def __init__(
        self,
        store: ObjectStore,
        version: DatasetVersion,
        *,
        subset: str | None = None,
        column: str | None = "label",
        where: pc.Expression | None = None,
        more: Sequence[str] = (),
        left_out: np.ndarray | None = None,
    ) -> None:
        if subset is not None and subset not in SUBSETS:
            raise UsageError(f"subset is {subset!r}, expected {', '.join(SUBSETS)} or None for all")
        self._version = version
        table = _load(store, version, [*([column] if column else []), *more])
        live = pc.invert(table["dropped"])
        chosen = live if subset is None else pc.and_(live, pc.fill_null(pc.equal(table["subset"], subset), False))
        self.rows: np.ndarray = np.flatnonzero(chosen.to_numpy(zero_copy_only=False)).astype(np.int64)
        if not len(self.rows):
            raise UsageError(f"{version.label} has no rows in subset {subset}; it has {_subset_counts(table, live)}")
        if where is not None:
            self.rows = np.intersect1d(self.rows, _matching(table, where, version), assume_unique=True)
            if not len(self.rows):
                raise UsageError(f"no row of {version.label} in subset {subset} is one where {where}")
        if left_out is not None:
            self.rows = np.setdiff1d(self.rows, left_out, assume_unique=True)
        if not len(self.rows):
            raise UsageError(f"no image of {version.label} in subset {subset} has features; see `hapistore inspect`")
        self.more = table.select(list(more))
        self.classes: tuple[str, ...] = ()
        self.values: np.ndarray | None = None
        if column is not None:
            self.values = self._encode(table, column, live)

    def _encode(self, table: pa.Table, column: str, live: pa.ChunkedArray) -> np.ndarray:
        values = table[column]
        self._check_present(table, column)
        if pa.types.is_string(values.type):
            # Over all subsets, so that train and test number the classes alike.
            names = sorted(pc.unique(values.filter(live)).drop_null().to_pylist())
            self.classes = tuple(names)
            codes = pc.index_in(values, value_set=pa.array(names, pa.string()))
            return np.asarray(pc.fill_null(codes, -1).to_numpy(), np.int64)
        if pa.types.is_floating(values.type):
            return np.asarray(pc.fill_null(values, np.nan).to_numpy(), np.float32)
        if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
            return np.asarray(pc.fill_null(values.cast(pa.int64()), -1).to_numpy(), np.int64)
        raise UsageError(f"column {column!r} has type {values.type}; a target is text or a number")

    def _check_present(self, table: pa.Table, column: str) -> None:
        absent = np.asarray(pc.is_null(table[column]).to_numpy(zero_copy_only=False))[self.rows]
        if absent.any():
            key = table["key"][int(self.rows[int(np.argmax(absent))])].as_py()
            raise UsageError(
                f"{int(absent.sum())} of the {len(self.rows)} selected rows of {self._version.label} have no {column} "
                f"(the first is {key!r}); choose another subset or column, or label=None for features alone"
            )


def _load(store: ObjectStore, version: DatasetVersion, columns: Sequence[str]) -> pa.Table:
    """Annotations of all rows, with at least these columns."""
    names = [annotations_name(shard.annotations) for shard in version.shards]
    tables = [read.table for read in read_all(store, names, AnnotationShard)]
    for name, shard, table in zip(names, version.shards, tables, strict=True):
        if table.num_rows != shard.rows:
            raise UsageError(f"{name} has {table.num_rows} rows, its image shard {shard.rows}; run `hapistore verify`")
    whole = pa.concat_tables(tables, promote_options="default")
    for column in columns:
        if column not in whole.column_names:
            raise UsageError(f"{version.label} has no column {column!r}; it has {', '.join(whole.column_names)}")
    return whole


def _matching(table: pa.Table, where: pc.Expression, version: DatasetVersion) -> np.ndarray:
    numbered = table.append_column(_NUMBER, pa.array(range(table.num_rows), pa.int64()))
    try:
        return np.asarray(numbered.filter(where)[_NUMBER].to_numpy())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowKeyError) as error:
        raise UsageError(
            f"where={where} does not fit {version.label}, which has {', '.join(table.column_names)}: {error!s:.200}"
        ) from error


def _subset_counts(table: pa.Table, live: pa.ChunkedArray) -> str:
    counts: Sequence[dict[str, object]] = pc.value_counts(table["subset"].filter(live)).to_pylist()
    return ", ".join(f"{c['counts']} in {c['values'] or 'no subset'}" for c in counts) or "no rows at all"
