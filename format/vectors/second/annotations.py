"""Annotations (datasets.md)."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa

from .members import check_format, integer, parse_object
from .refused import check
from .sealed_arrow import read_sealed_arrow, write_sealed_arrow
from .sealed_json import spell

NAMES = ["key", "label", "subset", "dropped"]
TYPES: list[tuple[pa.DataType, ...]] = [
    (pa.string(),),
    (pa.string(), pa.int64(), pa.float64(), pa.null()),
    (pa.string(), pa.null()),
    (pa.bool_(),),
]
SUBSETS = {"train", "val", "test", None}
ENTRY = b"hapistore.annotations"


def read_annotations(data: bytes, name: str) -> dict[str, list[Any]]:
    """All columns by name; ``name`` is the digest in the file's name."""
    file = read_sealed_arrow(data)
    check(hashlib.sha256(data).hexdigest() == name, "bad-digest", "the file has another digest")
    metadata = file.schema.metadata or {}
    check(ENTRY in metadata, "bad-annotations", "no description")
    description = parse_object(metadata[ENTRY], "bad-annotations")
    check_format(description)
    rows = integer(description, "rows")
    _check_columns(file.schema)
    check(sum(block.num_rows for block in file.blocks) == rows, "bad-annotations", "another number of rows")
    columns = pa.Table.from_batches(file.blocks, file.schema).to_pydict()
    for column in ("key", "dropped"):
        check(None not in columns[column], "bad-annotations", f"nulls in {column}")
    check(set(columns["subset"]) <= SUBSETS, "bad-annotations", "a subset that is none")
    return dict(columns)


def _check_columns(schema: pa.Schema) -> None:
    names = schema.names
    check(names[:4] == NAMES, "bad-annotations", f"columns {names}")
    check(len(set(names)) == len(names), "bad-annotations", "two columns of one name")
    for field, kinds in zip(schema, TYPES, strict=False):
        check(field.type in kinds, "bad-annotations", f"{field.name} is {field.type}")


def write_annotations(schema: pa.Schema, columns: dict[str, list[Any]], cuts: list[int], **extra: Any) -> bytes:
    """A file of blocks that end at ``cuts``; ``extra`` goes into the description."""
    schema = schema.with_metadata({ENTRY: spell({"format": 1, "rows": cuts[-1], **extra}, None)})
    batches = [
        pa.RecordBatch.from_arrays([pa.array(columns[f.name][a:b], f.type) for f in schema], schema=schema)
        for a, b in zip([0, *cuts], cuts, strict=False)
    ]
    return write_sealed_arrow(schema, batches, {})
