"""Rows of one shard's annotations, changed as Arrow columns, so that lists, structs and times stay what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from hapistore_format import AnnotationShard, ShardRef
from hapistore_format.annotations import RESERVED

from ..catalog.names import annotations_name
from ..catalog.reading import read_object
from ..errors import UsageError
from ..stores import ObjectStore


@dataclass(kw_only=True)
class Counts:
    """How many images changed: label, subset, metadata; how many were dropped, and brought back."""

    relabelled: int = 0
    resubset: int = 0
    edited: int = 0
    dropped: int = 0
    restored: int = 0

    @property
    def any(self) -> bool:
        return any(vars(self).values())

    def __iadd__(self, other: Counts) -> Counts:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self


def read_annotations(store: ObjectStore, shard: ShardRef) -> pa.Table:
    """A shard's annotations, as many rows as it has images.

    Raises:
        FormatError: they are damaged.
    """
    name = annotations_name(shard.annotations)
    table = read_object(store, name, AnnotationShard).table
    if table.num_rows != shard.rows:
        raise UsageError(f"{name} has {table.num_rows} rows, its image shard {shard.rows}; run `hapistore verify`")
    return table


def change_rows(
    old: pa.Table, rows: np.ndarray, given: pa.Table, *, keep_empty: bool, retyped: Sequence[str]
) -> tuple[pa.Table, Counts]:
    """Annotations with some rows changed.

    Args:
        rows: int64 [k], the rows to change; given: k rows, of which every column but ``key`` is set.
        keep_empty: whether nulls of ``given`` leave what is there. Those of ``dropped`` always do.
        retyped: columns whose values, of another type, go.
    """
    counts, edited = Counts(), np.zeros(len(rows), bool)
    table = old
    for name in given.column_names:
        if name == "key":
            continue
        new = given[name].combine_chunks()
        there = _column(old, name, new.type, empty=name in retyped)
        kept = keep_empty or name == "dropped"
        changed = _replace(there, rows, new, keep_empty=kept)
        differs = _differs(there.take(rows), changed.take(rows))
        _count(counts, name, changed.take(rows), differs)
        if name not in RESERVED:
            edited |= differs
        table = _set(table, name, changed)
    counts.edited = int(edited.sum())
    return table, counts


def _column(table: pa.Table, name: str, kind: pa.DataType, *, empty: bool) -> pa.Array:
    """A column in a type; nulls where the table has none, or of another type that goes."""
    if empty or name not in table.column_names or pa.types.is_null(table.schema.field(name).type):
        return pa.nulls(table.num_rows, kind)
    return table[name].combine_chunks()


def _replace(there: pa.Array, rows: np.ndarray, new: pa.Array, *, keep_empty: bool) -> pa.Array:
    """``there`` with some rows from ``new``, by picking from both: Arrow's other ways know no lists."""
    picks = np.arange(len(there), dtype=np.int64)
    taken = np.arange(len(new), dtype=np.int64)
    if keep_empty:
        taken = taken[new.is_valid().to_numpy(zero_copy_only=False)]
    picks[rows[taken]] = len(there) + taken
    return pa.concat_arrays([there, new.cast(there.type)]).take(pa.array(picks))


def _set(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), pa.field(name, column.type), column)
    return table.append_column(pa.field(name, column.type), column)


def _differs(old: pa.Array, new: pa.Array) -> np.ndarray:
    """Which values are others; NaN is NaN."""
    return np.array([_differ(a, b) for a, b in zip(old.to_pylist(), new.to_pylist(), strict=True)], bool)


def _differ(one: Any, other: Any) -> bool:
    return bool(one != other and not (one != one and other != other))


def _count(counts: Counts, name: str, new: pa.Array, differs: np.ndarray) -> None:
    if name == "label":
        counts.relabelled = int(differs.sum())
    elif name == "subset":
        counts.resubset = int(differs.sum())
    elif name == "dropped":
        now = np.array(new.to_pylist(), bool)
        counts.dropped, counts.restored = int((differs & now).sum()), int((differs & ~now).sum())
