"""Annotation shards: what is said of a shard's records and may change, one row a record."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .errors import FormatError
from .sealed_arrow import SealedFile, SealedWriter
from .sealed_json import check_format, parse_object, take

SUBSETS = ("train", "val", "test")
RESERVED = ("key", "label", "subset", "dropped")
_KINDS = {
    "key": (pa.string(),),
    "label": (pa.string(), pa.int64(), pa.float64(), pa.null()),
    "subset": (pa.string(), pa.null()),
    "dropped": (pa.bool_(),),
}
_COMPLETE = ("key", "dropped")
_ROWS_PER_BLOCK = 65_536
_META_KEY = b"hapistore.annotations"


def write_annotations(table: pa.Table) -> memoryview:
    """Serialise one shard's annotations.

    Args:
        table: columns ``key`` (string, unique), ``label`` (string, int64, double or null),
            ``subset`` (string: train, val, test or null), ``dropped`` (bool), then metadata columns.
    """
    if table.column_names[: len(RESERVED)] != list(RESERVED):
        raise ValueError(f"annotations begin with the columns {RESERVED}, found {table.column_names}")
    meta = json.dumps({"format": 1, "rows": table.num_rows}, separators=(",", ":"))
    table = store_values(table)
    schema = table.schema.with_metadata({_META_KEY: meta})
    writer = SealedWriter(schema)
    for batch in table.cast(schema).combine_chunks().to_batches(max_chunksize=_ROWS_PER_BLOCK):
        writer.write(batch)
    return writer.finish()


def store_values(table: pa.Table) -> pa.Table:
    """Columns that are dictionaries (of a pandas categorical) by their values."""
    for number, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = table.column(number).cast(field.type.value_type)
            table = table.set_column(number, field.with_type(values.type), values)
    return table


class AnnotationShard:
    """Annotations of one image shard, checked on opening.

    Raises:
        DamagedError: a checksum does not match.
        FormatError: ``bad-annotations``.
    """

    def __init__(self, data: bytes | memoryview, *, where: str) -> None:
        sealed = SealedFile(data, where=where)
        meta = parse_object((sealed.schema.metadata or {}).get(_META_KEY, b""), "bad-annotations", where=where)
        check_format(meta, 1, where=where)
        if sealed.schema.names[: len(RESERVED)] != list(RESERVED):
            raise FormatError("bad-annotations", f"its columns begin {sealed.schema.names!r:.200}", where=where)
        if len(set(sealed.schema.names)) < len(sealed.schema.names):
            raise FormatError("bad-annotations", "several of its columns have one name", where=where)
        blocks = [sealed.block(i) for i in range(sealed.num_blocks)]
        self.table = pa.Table.from_batches(blocks).replace_schema_metadata(None)
        if take(meta, "rows", int, where=where) != self.rows:
            raise FormatError(
                "bad-annotations", f"it has {self.rows} rows, not the {meta['rows']!r:.80} it claims", where=where
            )
        for name, kinds in _KINDS.items():
            _check_column(self.table[name], name, kinds, where=where)

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    @property
    def live_rows(self) -> int:
        """Rows that are not dropped."""
        return self.rows - int(pc.sum(self.table["dropped"]).as_py() or 0)

    def columns(self) -> dict[str, Any]:
        """Arrow types of the columns by name."""
        return {field.name: str(field.type) for field in self.table.schema}


def _check_column(column: pa.ChunkedArray, name: str, kinds: tuple[pa.DataType, ...], *, where: str) -> None:
    if column.type not in kinds:
        wanted = ", ".join(str(kind) for kind in kinds)
        raise FormatError("bad-annotations", f"its column {name} is {column.type}, expected {wanted}", where=where)
    if name in _COMPLETE and column.null_count:
        raise FormatError("bad-annotations", f"its column {name} has {column.null_count} nulls", where=where)
    if name == "subset" and not set(column.unique().to_pylist()) <= {*SUBSETS, None}:
        raise FormatError("bad-annotations", f"a subset is none of {', '.join(SUBSETS)}", where=where)
