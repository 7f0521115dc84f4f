"""What a source says of its records: checked, and of one type a column."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hapistore_format import SUBSETS, ImageRecord
from hapistore_format.annotations import RESERVED, store_values
from hapistore_format.sealed_arrow import MARKER_TEXT

from ..errors import ImageError, UsageError

_LABELS = (pa.string(), pa.int64(), pa.float64(), pa.null())


class Columns:
    """Types of a dataset's columns: what the parent has and what the source says, together.

    Args:
        parent: the parent version's annotation shards.
    """

    def __init__(self, parent: Iterable[pa.Table]) -> None:
        self._there: dict[str, pa.DataType] = {}
        for table in parent:
            for field in table.schema:
                if table[field.name].null_count < table.num_rows:  # else nothing is said yet
                    self._there[field.name] = field.type
        self._said: dict[str, pa.DataType] = {}

    def add(self, schema: pa.Schema) -> None:
        """Take note of a chunk's columns.

        Raises:
            UsageError: one has another type than before, or in the dataset; or a name that cannot be.
        """
        if MARKER_TEXT in str(schema):
            raise UsageError(f"a column's name has {MARKER_TEXT!r} in it, which marks the end of files; rename it")
        for field in schema:
            kind = _unify(self._said.get(field.name, pa.null()), field.type)
            if kind is None:
                raise UsageError(
                    f"column {field.name!r} of the source has type {self._said[field.name]} in some records and "
                    f"{field.type} in others; make them equal"
                )
            there = self._there.get(field.name, kind)
            if _unify(there, kind) != there:
                raise UsageError(
                    f"column {field.name!r} of the source has type {kind}, in the dataset it has {there}; "
                    "make them equal, or ingest into another dataset"
                )
            self._said[field.name] = kind

    @property
    def said(self) -> frozenset[str]:
        """Names of columns of which the source says anything."""
        return frozenset(name for name, kind in self._said.items() if not pa.types.is_null(kind))

    @property
    def schema(self) -> pa.Schema:
        """Of the new version's annotations, fixed columns first. A column of which nobody says anything is text."""
        kinds = {name: pa.null() for name in RESERVED} | self._said | {"dropped": pa.bool_()} | self._there
        return pa.schema([(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in kinds.items()])


def _unify(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds both; None where there is none."""
    if pa.types.is_null(one) or one == other:
        return other
    if pa.types.is_null(other):
        return one
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else None


@dataclass(frozen=True, kw_only=True)
class Offered:
    """All that a pass over a source found: one row a usable record, in the source's order.

    Attributes:
        table: annotations in the new version's schema, nothing dropped; ``said`` names the columns that
            the source fills.
        shards, rows: int64: where each image is: in a shard of the parent, or, counted down from -1, in a new one.
        contents: of each new shard, the record in each of its rows.
        digests: raw record digests.
        broken: keys of images that cannot be used.
    """

    table: pa.Table
    said: frozenset[str]
    shards: np.ndarray
    rows: np.ndarray
    contents: Sequence[Sequence[int]]
    digests: Sequence[bytes]
    broken: frozenset[str]

    @property
    def keys(self) -> pa.Array:
        return self.table["key"].combine_chunks()


class Offers:
    """Gathers what a source offers, chunk by chunk."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._tables: list[pa.Table] = []
        self._seen: set[str] = set()
        self._broken: set[str] = set()
        self._digests: list[bytes] = []
        self._shards, self._rows = array("q"), array("q")
        self._contents: list[list[int]] = []

    def check(self, chunk: pa.Table) -> pa.Table:
        """A chunk's annotations with all columns that every chunk has.

        Raises:
            UsageError: a column, key, label or subset cannot be, or a key came before.
        """
        chunk = store_values(chunk)
        if len(set(chunk.column_names)) < chunk.num_columns or "dropped" in chunk.column_names:
            raise UsageError(f"columns of the source are {chunk.column_names!r:.200}: one twice, or called dropped")
        for name in ("label", "subset"):
            if name not in chunk.column_names:
                chunk = chunk.append_column(name, pa.nulls(chunk.num_rows))
        _check_values(chunk)
        self._columns.add(chunk.schema)
        for key in chunk["key"].to_pylist():
            if key in self._seen:
                raise UsageError(f"two records of the source have key {key!r:.200}; keys are unique in a dataset")
            self._seen.add(key)
        return chunk

    def add(
        self, annotations: pa.Table, images: Sequence[ImageRecord | ImageError]
    ) -> Iterator[tuple[int, str, ImageRecord]]:
        """Take rows of a chunk; of each that is usable its number, key and record, to be placed."""
        usable = [isinstance(image, ImageRecord) for image in images]
        keys = annotations["key"].to_pylist()
        self._tables.append(annotations if all(usable) else annotations.filter(pa.array(usable)))
        for key, image in zip(keys, images, strict=True):
            if isinstance(image, ImageError):
                self._broken.add(key)
                continue
            self._digests.append(image.digest)
            self._shards.append(0)
            self._rows.append(-1)
            yield len(self._digests) - 1, key, image

    def place(self, offer: int, shard: int, row: int) -> None:
        """Say that a record's image is in a shard of the parent."""
        self._shards[offer], self._rows[offer] = shard, row

    def place_new(self, offer: int, shard: int, row: int) -> None:
        """Say that it was put into a new shard, counted from 0."""
        if shard == len(self._contents):
            self._contents.append([])
        self._contents[shard].append(offer)
        self._shards[offer], self._rows[offer] = -1 - shard, row

    def offered(self) -> Offered:
        """Everything, once all is placed."""
        schema = self._columns.schema
        parts = [fit(table.append_column("dropped", pa.repeat(False, len(table))), schema) for table in self._tables]
        return Offered(
            table=pa.concat_tables(parts or [schema.empty_table()]).combine_chunks(),
            said=self._columns.said,
            shards=np.array(self._shards, np.int64),
            rows=np.array(self._rows, np.int64),
            contents=self._contents,
            digests=self._digests,
            broken=frozenset(self._broken),
        )


def fit(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with just the columns of the schema; those that it has not are null."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _check_values(chunk: pa.Table) -> None:
    key, label, subset = (chunk[name] for name in ("key", "label", "subset"))
    if key.type != pa.string() or key.null_count or pc.any(pc.equal(key, "")).as_py():
        raise UsageError(f"keys of the source are of type {key.type}, {key.null_count} of them missing; expected text")
    if label.type not in _LABELS:
        raise UsageError(f"labels of the source are of type {label.type}, expected text, int64 or double")
    if subset.null_count < len(subset):
        known = pc.is_in(subset, value_set=pa.array([*SUBSETS, None], subset.type))
        if not pc.all(known).as_py():
            wrong = subset.filter(pc.invert(known))[0].as_py()
            raise UsageError(f"a subset of the source is {wrong!r:.80}, expected {', '.join(SUBSETS)} or nothing")
