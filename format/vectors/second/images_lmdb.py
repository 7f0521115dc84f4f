"""Image shards in layout lmdb (images.md)."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Any

import lmdb
import pyarrow as pa

from .documents import check_file, read_file_seal
from .images import COLUMNS, Record, batch_of, check_description, check_records, describe
from .lmdb_pages import read_pages
from .messages import RECORD_BATCH, SCHEMA, message_at
from .refused import Refused, check

SCHEMA_COLUMNS = pa.schema(COLUMNS[1:])
MAP_SLACK = 1 << 20  # bytes


def read_lmdb_images(data: bytes, seal: bytes, name: str) -> list[Record]:
    """All records of a file, checked against the object beside it; ``name`` is the shard digest in both names."""
    said = read_file_seal(seal)
    check(said["images"] == name, "bad-name", "the seal of another shard")
    check_file(data, said)
    values = read_pages(data)
    check(b"header" in values and b"columns" in values, "bad-images", "no header or no columns")
    claimed, rows = check_description(values[b"header"])
    batch = _read_columns(values[b"columns"])
    check(batch.schema.equals(SCHEMA_COLUMNS), "bad-images", "other columns")
    check(batch.num_rows == rows, "bad-images", "another number of rows")
    check(not any(column.null_count for column in batch), "bad-images", "nulls")
    check(len(values) == rows + 2, "bad-images", "another number of images")
    keys = [struct.pack(">Q", row) for row in range(rows)]
    check(all(key in values for key in keys), "bad-images", "a missing image")
    records = [{"image": values[key], **r} for key, r in zip(keys, batch.to_pylist(), strict=True)]
    return check_records(records, claimed, name)


def _read_columns(stream: bytes) -> pa.RecordBatch:
    """The record batch of an Arrow stream, which is not compressed (not-arrow)."""
    first = message_at(stream, 0)
    second = message_at(stream, first.end)
    check((first.kind, second.kind) == (SCHEMA, RECORD_BATCH), "not-arrow", "no stream of one record batch")
    check(not second.compressed, "not-arrow", "a compressed body")
    try:
        batch = pa.ipc.open_stream(pa.py_buffer(stream[: second.end])).read_next_batch()
        batch.validate(full=True)
    except (pa.ArrowException, EOFError, OSError, ValueError) as error:
        raise Refused("not-arrow", str(error).split("\n")[0]) from None
    return batch


def entries_of(records: list[Record], **extra: Any) -> dict[bytes, bytes]:
    """Keys and values of a shard; ``extra`` goes into the description."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA_COLUMNS) as writer:
        writer.write_batch(batch_of(SCHEMA_COLUMNS, records))
    images = {struct.pack(">Q", row): r["image"] for row, r in enumerate(records)}
    return {**images, b"columns": sink.getvalue().to_pybytes(), b"header": describe(records, **extra).encode()}


def write_lmdb(entries: dict[bytes, bytes]) -> bytes:
    """A new LMDB file of these entries, appended in one transaction."""
    size = MAP_SLACK + sum(len(value) for value in entries.values()) // MAP_SLACK * MAP_SLACK * 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.lmdb"
        environment = lmdb.open(str(path), subdir=False, lock=False, map_size=size, max_dbs=0)
        with environment, environment.begin(write=True) as transaction:
            for key in sorted(entries):
                transaction.put(key, entries[key], append=True)
        return path.read_bytes()
