"""Image shards in layout arrow, and what both layouts have in common (images.md)."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa

from .members import check_format, digest, integer, parse_object
from .refused import check
from .sealed_arrow import read_sealed_arrow, write_sealed_arrow
from .sealed_json import spell

ENTRY = b"hapistore.images"
COLUMNS = [
    pa.field("image", pa.binary(), nullable=False),
    pa.field("width", pa.int32(), nullable=False),
    pa.field("height", pa.int32(), nullable=False),
    pa.field("orientation", pa.uint8(), nullable=False),
    pa.field("format", pa.string(), nullable=False),
    pa.field("digest", pa.binary(32), nullable=False),
]

Record = dict[str, Any]  # a value for each column


def record(image: bytes, width: int, height: int, format: str, orientation: int = 1) -> Record:
    """A record, with its digest."""
    said = {"width": width, "height": height, "orientation": orientation, "format": format}
    return {"image": image, **said, "digest": hashlib.sha256(image).digest()}


def shard_digest(records: list[Record]) -> str:
    return hashlib.sha256(b"".join(r["digest"] for r in records)).hexdigest()


def describe(records: list[Record], **extra: Any) -> str:
    """The description of a shard, as JSON."""
    return spell({"digest": shard_digest(records), "format": 1, "rows": len(records), **extra}, None)


def check_description(data: bytes) -> tuple[str, int]:
    """Shard digest and rows that a description claims."""
    description = parse_object(data, "bad-images")
    check_format(description)
    return digest(description, "digest"), integer(description, "rows")


def check_records(records: list[Record], claimed: str, name: str) -> list[Record]:
    """The records, if they are those of the digest in the description and in the file's name."""
    check(claimed == name, "bad-name", "another shard than its name says")
    check(shard_digest(records) == claimed, "bad-digest", "the records are others than those of the digest")
    for r in records:
        check(hashlib.sha256(r["image"]).digest() == r["digest"], "bad-digest", "an image has another digest")
    return records


def read_images(data: bytes, name: str) -> list[Record]:
    """All records; ``name`` is the shard digest in the file's name."""
    file = read_sealed_arrow(data)
    metadata = file.schema.metadata or {}
    check(ENTRY in metadata, "bad-images", "no description")
    claimed, rows = check_description(metadata[ENTRY])
    check(file.schema.equals(pa.schema(COLUMNS)), "bad-images", "other columns")
    check(all(block.num_rows for block in file.blocks), "bad-images", "an empty block")
    check(sum(block.num_rows for block in file.blocks) == rows, "bad-images", "another number of rows")
    for block in file.blocks:
        check(not any(column.null_count for column in block), "bad-images", "nulls")
    return check_records([r for block in file.blocks for r in block.to_pylist()], claimed, name)


def write_images(records: list[Record], cuts: list[int], **extra: Any) -> bytes:
    """A file of blocks that end at ``cuts``; ``extra`` goes into the description."""
    schema = pa.schema(COLUMNS, {ENTRY: describe(records, **extra)})
    batches = [batch_of(schema, records[a:b]) for a, b in zip([0, *cuts], cuts, strict=False)]
    return write_sealed_arrow(schema, batches, {})


def batch_of(schema: pa.Schema, records: list[Record]) -> pa.RecordBatch:
    """A record batch of what the schema has of the records."""
    arrays = [pa.array([r[field.name] for r in records], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
