"""Sealed Arrow files that are refused before their rows are looked at: damage, lying indices, what is no such Arrow."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from second.features import write_features
from second.messages import message_at
from second.sealed_arrow import MARKER, reseal, write_sealed_arrow

from .crafted import blocks_of, craft
from .damage import flip, patch
from .entries import Corpus
from .samples import features_name, one_block, two_rows

NO_SUM = "0" * 32
HEAD = 8  # bytes of an Arrow file before its first message


def add_invalid_arrow(corpus: Corpus) -> None:
    add_damage(corpus)
    add_indices(corpus)
    add_messages(corpus)
    add_heads(corpus)


def _add(corpus: Corpus, file: str, data: bytes, code: str, why: str) -> None:
    corpus.invalid(f"arrow-{file}.arrow", features_name(two_rows()), data, code, why)


def add_damage(corpus: Corpus) -> None:
    data = write_features(two_rows())
    seal = data.rindex(b'"sha256":"') + 10
    for file, damaged, code, why in (
        ("flipped-block", flip(data, data.index(struct.pack("<3f", 0.25, 3, 4)), 3), "bad-block", "a bit of a value"),
        ("flipped-magic", flip(data, 0), "bad-block", "a bit of the first byte"),
        ("flipped-footer", flip(data, -12), "bad-seal", "a bit of the footer"),
        ("flipped-checksum", flip(data, data.rindex(b'"],[') - 1), "bad-seal", "a bit of a block's checksum"),
        ("flipped-seal", flip(data, seal), "bad-seal", "a bit of the seal"),
        ("flipped-marker", flip(data, data.rindex(MARKER)), "no-seal", "a bit of the marker"),
        ("truncated", data[:-1], "bad-seal", "the last byte is missing"),
        ("half", data[: len(data) // 3], "no-seal", "it ends before its index"),
        ("cut-index", data[: seal - 30], "bad-index", "it ends within its index"),
        ("appended", data + b"\0", "bad-seal", "a byte follows"),
        ("empty", b"", "no-seal", "there is nothing"),
    ):
        _add(corpus, file, damaged, code, why)


def add_indices(corpus: Corpus) -> None:
    """Indices that are refused before any checksum is looked at, so they have none."""

    def sizes(change: Callable[[int], Any]) -> Callable[[list[Any]], Any]:
        return lambda blocks: [blocks[0], [change(blocks[1][0]), NO_SUM]]

    for file, index, why in (
        ("index-beyond", sizes(lambda size: size + (1 << 40)), "a block that ends beyond the file"),
        ("index-over-index", sizes(lambda size: size + 1200), "a block that ends behind the index, within the file"),
        ("index-negative", sizes(lambda size: -size), "a negative size"),
        ("index-zero", lambda blocks: [*blocks, [0, NO_SUM]], "a block of no bytes"),
        ("index-double", sizes(lambda size: size + 0.5), "a size that is no integer"),
        ("index-no-blocks", lambda blocks: [], "no blocks"),
        ("index-pairs", lambda blocks: [[block[0]] for block in blocks], "blocks without checksums"),
    ):
        _add(corpus, file, craft(two_rows(), index=index, sealed=False), "bad-index", why)
    data = write_features(two_rows())
    _add(corpus, "index-no-json", patch(data, data.rindex(MARKER) + len(MARKER), b"<"), "bad-index", "no JSON")
    unnamed = data.replace(b'"sha256":"', b'"sha257":"')
    _add(corpus, "index-no-seal", unnamed, "bad-index", "no seal")


def add_messages(corpus: Corpus) -> None:
    def moved(blocks: list[Any]) -> list[Any]:
        return [[blocks[0][0] - 8, blocks[0][1]], [blocks[1][0] + 8, blocks[1][1]]]

    def joined(blocks: list[Any]) -> list[Any]:
        return [[blocks[0][0] + blocks[1][0], blocks[0][1]]]

    shard = two_rows()
    for file, data, why in (
        ("moved", craft(shard, index=moved), "a block that begins eight bytes early"),
        ("joined", craft(shard, index=joined), "two record batches in one block"),
        ("compressed", craft(shard, compression="zstd"), "bodies that Arrow compressed"),
        ("last-rows", craft(shard, last=blocks_of(shard)[0]), "a last record batch that has rows"),
        ("magic", reseal(patch(craft(shard), 0, b"ARROW2")), "another magic"),
        ("big-endian", reseal(big_endian(craft(shard))), "another byte order"),
        ("no-arrow", reseal(patch(craft(shard), 0, bytes(600))), "zeros where the schema should be"),
    ):
        _add(corpus, file, data, "not-arrow", why)
    kind = pa.list_(pa.struct([("a", pa.dictionary(pa.int8(), pa.string()))]))
    schema = pa.schema([pa.field("features", kind)])
    batch = pa.RecordBatch.from_arrays([pa.array([[{"a": "a"}]], kind)], schema=schema)
    data = write_sealed_arrow(schema, [batch], {}, last=batch)
    _add(corpus, "dictionary-inside", data, "not-arrow", "a column that has a dictionary inside")


def big_endian(data: bytes) -> bytes:
    """The file, with a schema whose byte order, left out as little-endian, stands where its list of fields does."""
    message = HEAD + 8 + struct.unpack_from("<I", data, HEAD + 8)[0]
    place = message + _offset(data, message, 2)
    schema = place + struct.unpack_from("<I", data, place)[0]
    vtable = schema - struct.unpack_from("<i", data, schema)[0]
    return patch(data, vtable + 4, struct.pack("<H", _offset(data, schema, 1)))


def _offset(data: bytes, table: int, field: int) -> int:
    vtable = table - struct.unpack_from("<i", data, table)[0]
    return int(struct.unpack_from("<H", data, vtable + 4 + 2 * field)[0])


def add_heads(corpus: Corpus) -> None:
    """Message heads and offsets that point elsewhere, under checksums that fit."""
    shard = one_block()
    data = craft(shard)
    batch = message_at(data, HEAD).end
    size = struct.unpack_from("<i", data, batch + 4)[0]
    body = batch + 8 + size
    rows = struct.pack("<i", 2)
    offsets = data.index(struct.pack("<i", 0), data.index(rows, body) + 8)
    table = batch + 8 + struct.unpack_from("<I", data, batch + 8)[0]
    for file, changed, why in (
        ("offsets", patch(data, offsets + 4, struct.pack("<i", 1 << 30)), "an offset beyond the body"),
        ("offsets-backwards", patch(data, offsets, struct.pack("<i", 1 << 20)), "offsets that go backwards"),
        ("head-size", patch(data, batch + 4, struct.pack("<i", 1 << 30)), "a message head beyond the block"),
        ("head-negative", patch(data, batch + 4, struct.pack("<i", -8)), "a message head of negative size"),
        ("head-table", patch(data, batch + 8, struct.pack("<I", 1 << 30)), "a head whose table is elsewhere"),
        ("head-vtable", patch(data, table, struct.pack("<i", 1 << 30)), "a table whose vtable is elsewhere"),
    ):
        name = features_name(shard)
        corpus.invalid(f"arrow-{file}.arrow", name, reseal(changed), "not-arrow", why)
