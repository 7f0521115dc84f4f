"""Sealed Arrow: an Arrow IPC file whose last record batch, of no rows, carries the hash of the file.

Any Arrow tool opens it as it is. A block is one record batch, uncompressed and without dictionaries. The hash
is of two levels, a small hash tree, so that a reader of part of the file can check just that part::

    block 0  magic, schema, first record batch        ─┐
    block 1  record batch: metadata, body, padding     ├─ XXH3-128 of each, listed in the index
    …                                                 ─┘
    tail     index batch, end of stream, Arrow footer ─── SHA-256 (the seal), in the index

Blocks and tail are all the bytes there are, so no bit is outside. The index is found from its own
marker, and everything is checked before Arrow's parser sees any of it.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import xxhash

from .arrow_messages import read_messages, read_schema
from .errors import DamagedError, FormatError
from .room_sink import RoomSink
from .seal import BLANK, check_seal, compute_seal

_MARKER = b"hapistore-seal/1:"
MARKER_TEXT = _MARKER.decode()
"""No name or note inside a sealed file may contain this."""
_MAGIC = b"ARROW1\0\0"
_FIRST = ("schema", "record batch")  # messages of block 0
_INDEX_KEY = "hapistore.index"
_SEAL_FIELD = b'"sha256":"'
MAX_INDEX_BYTES = 256 << 20
HEAD_START_BYTES = 16
"""Of a file: they tell how long its schema is."""


class SealedWriter:
    """Builds one sealed Arrow file in memory, a block (record batch) at a time.

    Args:
        file: where it is built; memory that grows by default.
    """

    def __init__(self, schema: pa.Schema, *, file: io.BytesIO | RoomSink | None = None) -> None:
        if _find_dictionary(schema):
            raise ValueError(f"column {_find_dictionary(schema)} is a dictionary; store its values")
        self._schema = schema
        self._file = io.BytesIO() if file is None else file
        self._sink = pa.PythonFile(self._file, mode="w")
        self._writer = pa.ipc.new_file(self._sink, schema)
        self._schema_end = len(_MAGIC) + schema.serialize().size
        self._ends: list[int] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Add one block."""
        self._writer.write_batch(batch)
        self._ends.append(self._sink.tell())

    def finish(
        self, extra: dict[str, str] | None = None, *, late: Mapping[bytes, bytes] = MappingProxyType({})
    ) -> memoryview:
        """Write the index and the footer; returns the file's bytes.

        Args:
            extra: further key/value pairs for the index batch.
            late: what stands in the schema, where it is written at the beginning and in the footer, for what was not
                known at the beginning; and what is to stand there, of the same length.
        """
        if not self._ends:
            raise ValueError("a sealed Arrow file has at least one block")
        whole = self._file.getbuffer()
        _replace(whole[: self._schema_end], late)
        spans = _checksums(whole, self._ends)
        del whole  # an exported buffer would forbid the sink to grow
        index = json.dumps({"blocks": spans, "sha256": BLANK.decode()}, separators=(",", ":"))
        metadata = {**(extra or {}), _INDEX_KEY: _MARKER.decode() + index}
        empty = pa.RecordBatch.from_pylist([], schema=self._schema)
        self._writer.write_batch(empty, custom_metadata=metadata)
        self._writer.close()
        data = self._file.getbuffer()
        tail = data[self._ends[-1] :]
        _replace(tail, late)
        if bytes(tail).count(_MARKER) != 1:
            raise ValueError(f"no name or note in the file may contain {_MARKER.decode()!r}")
        at = _find_seal(bytes(tail))
        tail[at : at + 64] = compute_seal(tail, at)
        return data


def _replace(data: memoryview, texts: Mapping[bytes, bytes]) -> None:
    """Replace each text, which is there once, by another of its length."""
    for old, new in texts.items():
        if len(old) != len(new) or bytes(data).count(old) != 1:
            raise ValueError(f"{old!r:.80} is not in the schema once, or {new!r:.80} has another length")
        at = bytes(data).index(old)
        data[at : at + len(new)] = new


def _checksums(whole: memoryview, ends: list[int]) -> list[list[Any]]:
    starts = [0, *ends[:-1]]
    return [[end - start, xxhash.xxh3_128_hexdigest(whole[start:end])] for start, end in zip(starts, ends, strict=True)]


def _find_seal(tail: bytes) -> int:
    return tail.index(_SEAL_FIELD, tail.index(_MARKER)) + len(_SEAL_FIELD)


@dataclass(frozen=True)
class SealIndex:
    """What the index says: where every block ends, and so where the tail begins."""

    ends: tuple[int, ...]
    checksums: tuple[str, ...]

    @property
    def tail_start(self) -> int:
        return self.ends[-1]


def read_index(data: memoryview, *, where: str) -> SealIndex:
    """Find the index from the end of the file and check the seal of the tail.

    Raises:
        DamagedError: ``no-seal``, ``bad-index`` or ``bad-seal``.
    """
    at = _find_marker(data)
    if at < 0:
        raise DamagedError("no-seal", "it does not end in its hash, as every shard does", where=where)
    text = bytes(data[at + len(_MARKER) : at + len(_MARKER) + MAX_INDEX_BYTES])
    index = _parse_index(text, at, where=where)
    tail = data[index.tail_start :]
    seal_at = bytes(tail).find(_SEAL_FIELD, at - index.tail_start)
    if seal_at < 0:
        raise DamagedError("bad-index", "its index has no seal", where=where)
    check_seal(tail, seal_at + len(_SEAL_FIELD), where=where)
    return index


def _find_marker(data: memoryview) -> int:
    reach = 64 << 10
    while True:
        start = max(0, len(data) - reach)
        found = bytes(data[start:]).rfind(_MARKER)
        if found >= 0:
            return start + found
        if start == 0 or reach > MAX_INDEX_BYTES:
            return -1
        reach *= 8


def _parse_index(text: bytes, most: int, *, where: str) -> SealIndex:
    """The index as JSON. Blocks end where the marker stands or before: it is in the tail."""
    try:
        # latin-1 maps every byte, so binary data after the object does no harm.
        value, _ = json.JSONDecoder().raw_decode(text.decode("latin-1"))
        blocks = value["blocks"]
        lengths = [length for length, _ in blocks]
        checksums = tuple(str(checksum) for _, checksum in blocks)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedError("bad-index", f"its index cannot be read: {error}", where=where) from error
    ends, end = [], 0
    for length in lengths:
        if type(length) is not int or length <= 0 or end + length > most:  # JSON's true is an int of Python's
            raise DamagedError("bad-index", "its index names bytes that are no block's", where=where)
        end += length
        ends.append(end)
    if not ends:
        raise DamagedError("bad-index", "its index lists no block", where=where)
    return SealIndex(tuple(ends), checksums)


def head_bytes(data: memoryview, *, where: str) -> int:
    """Where the schema of a sealed Arrow file ends, by the file's first 16 bytes.

    Raises:
        FormatError: ``not-arrow``.
    """
    mark, size = struct.unpack_from("<II", data, len(_MAGIC)) if len(data) >= HEAD_START_BYTES else (0, 0)
    if bytes(data[: len(_MAGIC)]) != _MAGIC or mark != 0xFFFFFFFF or size > MAX_INDEX_BYTES:
        raise FormatError("not-arrow", "it does not begin as Arrow files do", where=where)
    return HEAD_START_BYTES + int(size)


def read_head(data: memoryview, *, where: str) -> pa.Schema:
    """The schema of a sealed Arrow file from its beginning alone, which no checksum covers.

    Raises:
        FormatError: ``not-arrow``.
    """
    head = data[len(_MAGIC) : head_bytes(data, where=where)]
    (message,) = read_messages(head, _FIRST[:1], where=where)
    return read_schema(message, where=where)


class SealedFile:
    """A sealed Arrow file opened for reading, every byte of it checked.

    Args:
        data: the file's bytes; they are referenced, not copied.
        where: the object's name, for errors.

    Raises:
        DamagedError: ``no-seal``, ``bad-index``, ``bad-seal`` or ``bad-block``.
        FormatError: ``not-arrow``, where the bytes are as written but Arrow cannot read them.
    """

    def __init__(self, data: bytes | memoryview | pa.Buffer, *, where: str) -> None:
        self.where = where
        view = memoryview(data).cast("B")
        index = read_index(view, where=where)
        self._check_blocks(view, index)
        starts = (0, *index.ends)
        self._spans = [view[start:end] for start, end in pairwise(starts)]
        self.num_blocks = len(self._spans)
        self.schema = self._read_schema()
        self.extra = self._read_extra(view[index.tail_start :])

    def block(self, number: int) -> pa.RecordBatch:
        """Block ``number``, its offsets validated so that no access can leave the file.

        Raises:
            FormatError: ``not-arrow``.
        """
        try:
            if number == 0:
                _, message = read_messages(self._spans[0][len(_MAGIC) :], _FIRST, where=self.where)
            else:
                (message,) = read_messages(self._spans[number], _FIRST[1:], where=self.where)
            batch = pa.ipc.read_record_batch(message, self.schema)
            batch.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise FormatError("not-arrow", f"block {number} cannot be read: {error}", where=self.where) from error
        return batch

    def _read_schema(self) -> pa.Schema:
        first = self._spans[0]
        if bytes(first[: len(_MAGIC)]) != _MAGIC:
            raise FormatError("not-arrow", "it does not begin as Arrow files do", where=self.where)
        message, _ = read_messages(first[len(_MAGIC) :], _FIRST, where=self.where)
        schema = read_schema(message, where=self.where)
        if _find_dictionary(schema):
            raise FormatError("not-arrow", f"column {_find_dictionary(schema)!r:.80} is a dictionary", where=self.where)
        return schema

    def _read_extra(self, tail: memoryview) -> dict[str, str]:
        read_messages(tail, _FIRST[1:], rest=True, where=self.where)  # not compressed, which the stream would unpack
        stream = pa.BufferReader(self.schema.serialize().to_pybytes() + bytes(tail))
        try:
            last = pa.ipc.open_stream(stream).read_next_batch_with_custom_metadata()
            extra = {key.decode(): value.decode() for key, value in (last.custom_metadata or {}).items()}
        except (pa.ArrowException, OSError, StopIteration) as error:
            raise FormatError("not-arrow", f"Arrow cannot read its last batch: {error}", where=self.where) from error
        except UnicodeDecodeError as error:
            raise FormatError("not-arrow", f"its notes are no UTF-8: {error}", where=self.where) from error
        if last.batch.num_rows:
            raise FormatError("not-arrow", "its last record batch has rows", where=self.where)
        return extra

    def _check_blocks(self, view: memoryview, index: SealIndex) -> None:
        start = 0
        for number, (end, expected) in enumerate(zip(index.ends, index.checksums, strict=True)):
            if xxhash.xxh3_128_hexdigest(view[start:end]) != expected:
                raise DamagedError(
                    "bad-block", f"block {number} (bytes {start} to {end}) fails its checksum", where=self.where
                )
            start = end


def _find_dictionary(schema: pa.Schema) -> str | None:
    """Name of a column that is a dictionary or has one inside: it would need messages of its own."""
    return next((field.name for field in schema if _has_dictionary(field.type)), None)


def _has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return pa.types.is_dictionary(kind) or any(_has_dictionary(kind.field(i).type) for i in range(kind.num_fields))
