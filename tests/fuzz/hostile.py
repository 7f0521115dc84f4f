"""Rightly sealed files around any bytes, as a hostile writer makes them: checksums would stop a fuzzer at once."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from functools import cache

import pyarrow as pa
import xxhash
import zstandard

from hapistore_format import FeatureHeader, ImageRecord, get_codec, record_digest, write_lmdb_image_shard
from hapistore_format.feature_shard import _schema
from hapistore_format.seal import BLANK, compute_seal
from hapistore_format.sealed_arrow import SealedWriter

RECIPE, IMAGES = "ab" * 32, "cd" * 32
WHERE = "here"
PAGE = 4096
_MARKER, _NO_MARKER = b"hapistore-seal/1:", b"hapistore-seal/2:"
_MESSAGE = b"\xff\xff\xff\xff"  # with which every Arrow message begins


def sealed_text(text: bytes) -> bytes:
    """A sealed JSON object around what stands in it before the seal, the brace included."""
    end = b'"\n}\n'
    blank = text + b',\n "sha256": "' + BLANK + end
    at = len(blank) - len(end) - 64
    return blank[:at] + compute_seal(blank, at) + end


def resealed(data: bytes) -> bytes:
    """A sealed Arrow file with all checksums made right, and the last block's size too.

    What has no index that could be mended comes back as it is, or with a tail that is only the index.
    """
    at = data.rfind(_MARKER)
    if at < 0:
        return data
    try:
        value, length = json.JSONDecoder().raw_decode(data[at + len(_MARKER) :].decode("latin-1"))
        sizes = [size for size, _ in value["blocks"] if type(size) is int and 0 < size <= len(data)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return data
    tail = data.rfind(_MESSAGE, 0, at)
    if sizes and tail > sum(sizes[:-1]):
        sizes[-1] = tail - sum(sizes[:-1])
    blocks, start = [], 0
    for size in sizes:
        blocks.append([size, xxhash.xxh3_128_hexdigest(data[start : start + size])])
        start += size
    text = json.dumps({"blocks": blocks, "sha256": BLANK.decode()}, separators=(",", ":")).encode()
    raw = bytearray(data)
    raw[at + len(_MARKER) : at + len(_MARKER) + length] = text.ljust(length)
    seal = raw.find(b'"sha256":"', at) + len(b'"sha256":"')
    if start <= seal:
        raw[seal : seal + 64] = compute_seal(bytes(raw[start:]), seal - start)
    return bytes(raw)


def feature_shard(
    codec: str, shape: tuple[int, ...], header: bytes, batches: Sequence[list[pa.Array]], **extra: str
) -> memoryview:
    """Columns of a codec and shape, under a description that says what it likes, but for what a writer refuses."""
    header = header.replace(_MARKER, _NO_MARKER)
    extra = {key: value.replace(_MARKER.decode(), _NO_MARKER.decode()) for key, value in extra.items()}
    schema = feature_columns(codec, shape).with_metadata({b"hapistore.features": header})
    writer = SealedWriter(schema)
    for arrays in batches:
        writer.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return writer.finish(extra)


@cache
def feature_columns(codec: str, shape: tuple[int, ...]) -> pa.Schema:
    header = FeatureHeader(recipe=RECIPE, images=IMAGES, codec=codec, rows=1, shape=shape)
    return _schema(header, get_codec(codec)).remove_metadata()


def packed(data: bytes) -> str:
    """Parameters as a feature shard carries them."""
    return base64.b64encode(zstandard.compress(data, 1)).decode()


def some_records(count: int) -> list[ImageRecord]:
    """Small images, the eighth of which takes pages of its own in LMDB."""
    images = [bytes([row]) * (3000 if row == 7 else 900) for row in range(count)]
    return [
        ImageRecord(image=i, width=8, height=4, orientation=1, format="PNG", digest=record_digest(i)) for i in images
    ]


@cache
def lmdb_shard() -> bytes:
    """A whole LMDB file of a few pages of every kind: meta, branch, leaf and overflow."""
    return bytes(write_lmdb_image_shard(some_records(12)).data)


def patched_pages(patches: bytes) -> bytes:
    """That file with bytes changed: a page, a place in it and a value take five bytes of ``patches``.

    The highest page number cuts the file at the place instead.
    """
    data = bytearray(lmdb_shard())
    for page, place, value in struct.iter_unpack("<HHB", patches[: len(patches) // 5 * 5][:500]):
        at = page % (len(data) // PAGE or 1) * PAGE + place % PAGE
        if page == 0xFFFF:
            del data[max(1, at) :]
        elif at < len(data):
            data[at] = value
    return bytes(data)
