"""Sealed Arrow: an Arrow IPC file with the checksums of its blocks in its tail, and a seal over that (sealing.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import xxhash

from .messages import RECORD_BATCH, SCHEMA, has_dictionary, message_at, names_in
from .refused import Refused, check
from .sealed_json import BLANK, seal_of

MARKER = b"hapistore-seal/1:"
SEAL = b'"sha256":"'
MAGIC = b"ARROW1\0\0"
REACH = 256 << 20  # bytes from the end in which the marker is searched

Block = tuple[int, str]  # size in bytes, checksum


@dataclass(frozen=True)
class SealedArrow:
    """What a sealed Arrow file holds: its schema, its blocks, and the notes in its tail."""

    schema: pa.Schema
    blocks: list[pa.RecordBatch]
    notes: dict[str, bytes]


def read_sealed_arrow(data: bytes) -> SealedArrow:
    """All of a file: no-seal, bad-index, bad-seal, bad-block, not-arrow, in this order."""
    blocks = _read_index(data)
    at = 0
    spans = []
    for size, checksum in blocks:
        span = data[at : at + size]
        check(xxhash.xxh3_128_hexdigest(span) == checksum, "bad-block", f"the block at byte {at}")
        spans.append(span)
        at += size
    try:
        return _read_messages(spans, data[at:])
    except (pa.ArrowException, EOFError, OSError, ValueError) as error:
        raise Refused("not-arrow", str(error).split("\n")[0]) from None


def _read_index(data: bytes) -> list[Block]:
    """The blocks, their sizes within the file and the seal over the rest found to hold."""
    at = data.rfind(MARKER, max(0, len(data) - REACH))
    check(at >= 0, "no-seal", "no index")
    try:  # other bytes of the tail follow the object; as Latin-1 they are none of its characters
        index, length = json.JSONDecoder().raw_decode(data[at + len(MARKER) :].decode("latin-1"))
        blocks = [(size, checksum) for size, checksum in index["blocks"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused("bad-index", f"the index cannot be read: {error}") from None
    check(bool(blocks), "bad-index", "no blocks")
    check(all(type(size) is int and size > 0 for size, _ in blocks), "bad-index", "sizes that are none")
    tail = sum(size for size, _ in blocks)
    check(tail <= at, "bad-index", "blocks beyond the index")
    seal = data.find(SEAL, at, at + len(MARKER) + length) + len(SEAL)
    check(seal >= at + len(SEAL), "bad-index", "no seal in the index")
    check(data[seal : seal + 64] == seal_of(data[tail:], seal - tail), "bad-seal", "the seal does not match")
    return blocks


def _read_messages(spans: list[bytes], tail: bytes) -> SealedArrow:
    check(spans[0].startswith(MAGIC), "not-arrow", "does not begin as an Arrow file")
    schema_message = message_at(spans[0], len(MAGIC))
    check(schema_message.kind == SCHEMA, "not-arrow", "no schema")
    check(not schema_message.big_endian, "not-arrow", "big-endian data")
    head = spans[0][len(MAGIC) : schema_message.end]
    schema = pa.ipc.read_schema(pa.py_buffer(head))
    check(all(names_in(field) for field in schema), "not-arrow", "names that are none")
    check(not any(has_dictionary(field.type) for field in schema), "not-arrow", "a dictionary")
    spans = [spans[0][schema_message.end :], *spans[1:]]
    blocks = [_read_batch(head, span, len(span))[0] for span in spans]
    last, notes = _read_batch(head, tail, None)
    check(last.num_rows == 0, "not-arrow", "a last record batch with rows")
    return SealedArrow(schema, blocks, notes)


def _read_batch(head: bytes, span: bytes, end: int | None) -> tuple[pa.RecordBatch, dict[str, bytes]]:
    """The record batch at the start of a span, which it fills where its ``end`` is given, and its notes."""
    message = message_at(span, 0)
    check(message.kind == RECORD_BATCH, "not-arrow", "no record batch")
    check(not message.compressed, "not-arrow", "a compressed body")
    check(end in (None, message.end), "not-arrow", "a block that is more than its record batch")
    stream = pa.ipc.open_stream(pa.py_buffer(head + span[: message.end]))
    batch, notes = stream.read_next_batch_with_custom_metadata()
    if end is not None:  # the last one has nothing but its notes
        batch.validate(full=True)
    return batch, {key.decode(): value for key, value in (notes or {}).items()}


def write_sealed_arrow(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    notes: dict[str, str],
    *,
    compression: str | None = None,
    index: Callable[[list[Any]], Any] = lambda blocks: blocks,
    last: pa.RecordBatch | None = None,
    sealed: bool = True,
) -> bytes:
    """A file.

    For files that are to be refused: ``compression`` by Arrow, other blocks in the ``index``, a ``last`` record batch
    that has rows, no checksums and no seal (not ``sealed``).
    """
    sink = pa.BufferOutputStream()
    blocks: list[Any] = []
    at = 0
    with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for batch in batches:
            writer.write_batch(batch)
            blocks.append([sink.tell() - at, BLANK[:32].decode()])
            at = sink.tell()
        said = json.dumps({"blocks": index(blocks), "sha256": BLANK.decode()}, separators=(",", ":"))
        nothing = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
        writer.write_batch(
            nothing if last is None else last, custom_metadata={**notes, "hapistore.index": MARKER.decode() + said}
        )
    data = sink.getvalue().to_pybytes()
    return reseal(data) if sealed else data


def reseal(data: bytes) -> bytes:
    """A file with the checksums and the seal that its bytes and the sizes in its index ask for."""
    at = data.rfind(MARKER) + len(MARKER)
    index, _ = json.JSONDecoder().raw_decode(data[at:].decode("latin-1"))
    tail = 0
    for block in index["blocks"]:
        block[1] = xxhash.xxh3_128_hexdigest(data[tail : tail + block[0]])
        tail += block[0]
    index["sha256"] = BLANK.decode()
    said = json.dumps(index, separators=(",", ":")).encode()
    data = data[:at] + said + data[at + len(said) :]
    seal = data.find(SEAL, at) + len(SEAL)
    return data[:seal] + seal_of(data[tail:], seal - tail) + data[seal + 64 :]
