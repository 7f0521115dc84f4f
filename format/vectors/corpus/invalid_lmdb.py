"""LMDB image shards that are refused. All but the damaged ones have a seal that fits."""

from __future__ import annotations

import struct

import pyarrow as pa
from second.images import batch_of, shard_digest
from second.images_lmdb import SCHEMA_COLUMNS, entries_of, write_lmdb

from .damage import flip, patch
from .entries import Corpus
from .pictures import png_record
from .valid_shards import seal_of_file

RECORDS = [png_record(1, 1, 5)]
DIGEST = shard_digest(RECORDS)
NAME = f"images/{DIGEST}.lmdb"
PAGE = 4096
META, LEAF = PAGE, 2 * PAGE  # the page of the later transaction, and the only one of the tree
# Within a meta page: magic, version, sizes; two trees of 48 bytes; last page and transaction.
MAIN, LAST_PAGE = 16 + 24 + 48, 16 + 24 + 96
POINTERS = 16  # within a leaf: where its nodes are, two bytes each


def add_invalid_lmdb(corpus: Corpus) -> None:
    data = write_lmdb(entries_of(RECORDS))
    add_damage(corpus, data)
    add_pages(corpus, data)
    add_entries(corpus)


def _add(corpus: Corpus, file: str, data: bytes, code: str, why: str) -> None:
    corpus.invalid(f"{file}.lmdb", NAME, data, code, why, seal=seal_of_file(data, RECORDS))


def add_damage(corpus: Corpus, data: bytes) -> None:
    seal = seal_of_file(data, RECORDS)
    for file, damaged, why in (
        ("flipped", flip(data, -1), "a bit is flipped"),
        ("truncated", data[:PAGE], "all but the first page are missing"),
    ):
        corpus.invalid(f"lmdb-{file}.lmdb", NAME, damaged, "bad-block", why, seal=seal)


def add_pages(corpus: Corpus, data: bytes) -> None:
    first, second = struct.unpack_from("<2H", data, LEAF + POINTERS)
    for file, changed, why in (
        ("magic", patch(data, 16, struct.pack("<I", 0xBEEFC0DF)), "another magic"),
        ("size", patch(data, META + LAST_PAGE, struct.pack("<Q", 1000)), "pages that the file does not have"),
        ("root", patch(data, META + MAIN + 40, struct.pack("<Q", 999)), "a root outside of the file"),
        ("order", patch(data, LEAF + POINTERS, struct.pack("<2H", second, first)), "keys out of order"),
    ):
        _add(corpus, f"lmdb-{file}", changed, "not-lmdb", why)
    _add(corpus, "lmdb-no-pages", b"no pages", "not-lmdb", "a file that is none of LMDB's")


def add_entries(corpus: Corpus) -> None:
    entries = entries_of(RECORDS)
    sink = pa.BufferOutputStream()
    batch = batch_of(SCHEMA_COLUMNS, RECORDS)
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    columns = sink.getvalue().to_pybytes()
    for file, changes, code, why in (
        ("image", {bytes(8): None, (7).to_bytes(8, "big"): b"x"}, "bad-images", "no image of row 0"),
        ("compressed", {b"columns": columns}, "not-arrow", "columns that Arrow compressed"),
    ):
        kept = {key: value for key, value in {**entries, **changes}.items() if value is not None}
        _add(corpus, f"lmdb-entry-{file}", write_lmdb(kept), code, why)
