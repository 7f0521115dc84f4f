"""Image shards in the LMDB layout: one LMDB file, memory-mapped, with a key for every row; its seal lies beside it."""

from __future__ import annotations

import functools
import json
import mmap
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import lmdb
import pyarrow as pa

from .arrow_messages import read_messages, read_schema
from .digests import shard_digest
from .errors import FormatError
from .file_seal import FileSeal
from .image_shard import COLUMNS, ImageRecord, ImageShard
from .lmdb_file import LmdbFile
from .sealed_json import check_format, parse_object, take, take_digest

# After every row's key in LMDB's order, which compares bytes: row numbers begin with zeros.
_COLUMNS_KEY = b"columns"
_HEADER_KEY = b"header"


class LmdbShardFile(NamedTuple):
    """A shard as it is stored: its digest, the LMDB file, and the object that lies beside that."""

    digest: str
    data: memoryview
    seal: bytes


def write_lmdb_image_shard(records: Sequence[ImageRecord]) -> LmdbShardFile:
    """Serialise records in order.

    Equal records make equal bytes on machines of one page size: keys are appended in order in one transaction of a
    new file, and LMDB zeroes what it does not fill.
    """
    if not records:
        raise ValueError("an image shard has at least one row")
    digest = shard_digest(record.digest for record in records)
    header = json.dumps({"digest": digest, "format": 1, "rows": len(records)}, separators=(",", ":")).encode()
    columns = _write_columns(records)
    with tempfile.NamedTemporaryFile(prefix="hapistore-", suffix=".lmdb", delete=False) as file:
        environment = _new_environment(Path(file.name), _map_bytes(records, columns))
        with environment, environment.begin(write=True) as transaction:
            for row, record in enumerate(records):
                transaction.put(_row_key(row), record.image, append=True)
            transaction.put(_COLUMNS_KEY, columns, append=True)
            transaction.put(_HEADER_KEY, header, append=True)
        file.seek(0)
        data = memoryview(file.read())
    return LmdbShardFile(digest, data, FileSeal.of(data, images=digest).serialise())


def _new_environment(path: Path, map_bytes: int) -> lmdb.Environment:
    """On an empty file, whose name is then gone: a process that is killed leaves none."""
    try:
        return lmdb.open(
            str(path),
            map_size=map_bytes,
            subdir=False,
            lock=False,
            sync=False,
            meminit=True,
            lib_version=0,  # the file format of LMDB 0.9, whatever the environment says
        )
    finally:
        path.unlink()


def _row_key(row: int) -> bytes:
    return row.to_bytes(8, "big")


def _write_columns(records: Sequence[ImageRecord]) -> bytes:
    columns = [pa.array([getattr(record, field.name) for record in records], type=field.type) for field in COLUMNS]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, COLUMNS) as writer:
        writer.write_batch(pa.record_batch(columns, schema=COLUMNS))
    return bytes(sink.getvalue())


def _map_bytes(records: Sequence[ImageRecord], columns: bytes) -> int:
    """More than the file can need: LMDB writes this number into it, so it follows from the records alone."""
    needed = sum(len(record.image) + 2 * mmap.PAGESIZE for record in records) + len(columns) + (1 << 20)
    return -(-needed // mmap.PAGESIZE) * mmap.PAGESIZE


class LmdbImageShard(ImageShard):
    """The images of one shard, found by LMDB in its memory map.

    A reader of a file pickles to one that opens it, and checks it, again.

    Args:
        source: the file; or its bytes, which then go to a private temporary file.
        seal: what the object beside the file says.

    Raises:
        DamagedError: ``bad-block``: the file does not match its seal. LMDB has not seen it then.
        FormatError: ``not-lmdb``, ``bad-images``.
    """

    def __init__(self, source: Path | bytes | memoryview, seal: FileSeal, *, where: str) -> None:
        self.where = where
        self._source = source if isinstance(source, Path) else None
        self._seal = seal
        if isinstance(source, Path):
            seal.check(_map(source), where=where)
            self._file = LmdbFile(source, where=where)
        else:
            seal.check(memoryview(source), where=where)
            self._file = _open_privately(source, where=where)
        meta = parse_object(self._required(_HEADER_KEY), "bad-images", where=where)
        check_format(meta, 1, where=where)
        self.digest = take_digest(meta, "digest", where=where)
        self._columns = _read_columns(self._required(_COLUMNS_KEY), where=where)
        rows = take(meta, "rows", int, where=where)
        if not rows == len(self) == len(self._file) - 2 or not rows:
            raise FormatError(
                "bad-images", f"it has {len(self._file) - 2} rows, not the {rows!r:.80} it claims", where=where
            )

    def __len__(self) -> int:
        return int(self._columns.num_rows)

    def __reduce__(self) -> tuple[Callable[..., LmdbImageShard], tuple[Path, FileSeal]]:
        if self._source is None:
            raise TypeError("a shard read from memory cannot be sent to another process; use a store of files")
        return functools.partial(LmdbImageShard, where=self.where), (self._source, self._seal)

    def image(self, row: int) -> memoryview:
        """Encoded bytes of ``row``, a copy: a view would crash the process when it outlives LMDB's map."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return memoryview(self._required(_row_key(row)))

    def column(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array([self._columns.column(name)])

    def _required(self, key: bytes) -> bytes:
        value = self._file.get(key)
        if value is None:
            raise FormatError("bad-images", f"it has no value under key {key!r}", where=self.where)
        return value


def _map(path: Path) -> memoryview:
    with open(path, "rb") as file:
        if not file.seek(0, 2):
            return memoryview(b"")  # which cannot be mapped
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _open_privately(data: bytes | memoryview, *, where: str) -> LmdbFile:
    """The name is gone at once; LMDB's map keeps the file."""
    with tempfile.NamedTemporaryFile(prefix="hapistore-", suffix=".lmdb") as file:
        file.write(data)
        file.flush()
        return LmdbFile(Path(file.name), where=where)


def _read_columns(data: bytes, *, where: str) -> pa.RecordBatch:
    try:
        schema, message = read_messages(memoryview(data), ("schema", "record batch"), rest=True, where=where)
        batch = pa.ipc.read_record_batch(message, read_schema(schema, where=where))
        batch.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise FormatError("not-arrow", f"its columns cannot be read: {error}", where=where) from error
    if not batch.schema.remove_metadata().equals(COLUMNS):
        raise FormatError("bad-images", f"its columns are {batch.schema.names!r:.200}", where=where)
    if any(column.null_count for column in batch.columns):
        raise FormatError("bad-images", "a column has rows without a value", where=where)
    return batch
