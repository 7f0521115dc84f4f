"""Files that are rightly sealed and lie: refused as FormatError, before memory is taken for what they claim."""

from __future__ import annotations

import base64
import json
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest
import xxhash
import zstandard

from hapistore_format import FeatureHeader, FeatureShardReader, FormatError, ImageShardReader, get_codec
from hapistore_format.feature_shard import _schema
from hapistore_format.seal import BLANK, compute_seal
from hapistore_format.sealed_arrow import SealedFile, SealedWriter

A, B = "ab" * 32, "cd" * 32
ENOUGH = 64 << 20
MARKER = b"hapistore-seal/1:"


@contextmanager
def little_memory():
    """Fails where more is allocated than any of these small files could need."""
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < ENOUGH
    finally:
        tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < ENOUGH


def craft_features(
    codec: str, rows: int, shape: tuple[int, ...], batches: list[list[pa.Array]], **extra: str
) -> memoryview:
    """A feature shard of any header, blocks and index entries."""
    header = FeatureHeader(recipe=A, images=B, codec=codec, rows=rows, shape=shape)
    schema = _schema(header, get_codec(codec))
    writer = SealedWriter(schema)
    for arrays in batches:
        writer.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return writer.finish({"hapistore.params": params(b""), **extra})


def params(raw: bytes) -> str:
    return base64.b64encode(zstandard.compress(raw)).decode()


def block(rows: int | None, data: bytes | None) -> list[pa.Array]:
    return [pa.array([rows], pa.int32()), pa.array([data], pa.binary())]


def tensor(values: pa.Array, side: int, *, mask: list[bool] | None = None) -> list[pa.Array]:
    kind = pa.fixed_shape_tensor(pa.float32(), [side])
    more = {"mask": pa.array(mask)} if mask else {}
    return [pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(values, side, **more))]


def zeros_frame(size: int) -> bytes:
    """A zstd frame that claims ``size`` bytes and holds none."""
    return struct.pack("<IBQ", 0xFD2FB528, 0b11100000, size) + b"\x01\x00\x00"


def refused(data: memoryview, *codes: str) -> FormatError:
    with little_memory(), pytest.raises(FormatError) as caught:
        FeatureShardReader(data, where="here").features()
    assert caught.value.code in codes
    assert caught.value.where == "here"
    return caught.value


def test_the_crafted_shards_start_from_good_ones():
    data = craft_features("f32", 2, (3,), [tensor(pa.array(np.arange(6, dtype=np.float32)), 3)])
    assert FeatureShardReader(data, where="here").features().tolist() == [[0, 1, 2], [3, 4, 5]]
    frame = zstandard.compress(b"\0" + np.arange(6, dtype=np.float32).tobytes())
    data = craft_features("f32+zstd", 2, (3,), [block(2, frame)])
    assert FeatureShardReader(data, where="here").features().shape == (2, 3)


@pytest.mark.parametrize("rows", [1, 3, 1 << 30])
def test_more_or_fewer_rows_than_the_header_claims(rows):
    refused(craft_features("f32", rows, (3,), [tensor(pa.array(np.arange(6, dtype=np.float32)), 3)]), "bad-features")


@pytest.mark.parametrize("claimed", [0, -1, 3, 1 << 30])
def test_a_block_that_claims_other_rows(claimed):
    frame = zstandard.compress(bytes(25))
    refused(craft_features("f32+zstd", 2, (3,), [block(claimed, frame)]), "bad-block", "bad-features")


def test_blocks_that_claim_all_rows_each_are_not_unpacked():
    rows = 1 << 24
    frame = zstandard.compress(bytes(1 + rows * 4))  # 64 MiB each when unpacked
    refused(craft_features("f32+zstd", rows, (1,), [block(rows, frame)] * 20), "bad-features")


@pytest.mark.parametrize("size", [0, 24, 26, 1 << 40, (1 << 64) - 1])
def test_a_frame_that_claims_another_size(size):
    error = refused(craft_features("f32+zstd", 2, (3,), [block(2, zeros_frame(size))]), "bad-block")
    assert any(
        words in str(error)
        for words in ("its rows take", "cannot be unpacked", "claim to unpack", "and would need more")
    )


def test_a_frame_of_unknown_size():
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(25))
    refused(craft_features("f32+zstd", 2, (3,), [block(2, frame)]), "bad-block")


@pytest.mark.parametrize("frame", [b"", b"\0" * 9, b"\x28\xb5\x2f\xfd", zeros_frame(25)])
def test_a_frame_that_is_none(frame):
    refused(craft_features("f32+zstd", 2, (3,), [block(2, frame)]), "bad-block")


def test_rows_without_a_value():
    frame = zstandard.compress(bytes(25))
    values = pa.array(np.arange(6, dtype=np.float32))
    for batch in (block(None, frame), block(2, None)):
        refused(craft_features("f32+zstd", 2, (3,), [batch]), "bad-block")
    refused(craft_features("f32", 2, (3,), [tensor(values, 3, mask=[True, False])]), "bad-block")
    refused(craft_features("f32", 2, (3,), [tensor(pa.array([1.0, None] * 3, pa.float32()), 3)]), "bad-block")


def test_several_rows_in_the_column_of_blocks():
    frame = zstandard.compress(bytes(13))
    batch = [pa.array([1, 1], pa.int32()), pa.array([frame, frame], pa.binary())]
    refused(craft_features("f32+zstd", 2, (3,), [batch]), "bad-block")


def test_a_codec_that_is_not_that_of_the_columns():
    header = FeatureHeader(recipe=A, images=B, codec="f16", rows=2, shape=(3,))
    schema = pa.schema(
        [pa.field("features", pa.fixed_shape_tensor(pa.float32(), [3]), nullable=False)],
        metadata={b"hapistore.features": header.to_json()},
    )
    writer = SealedWriter(schema)
    writer.write(pa.RecordBatch.from_arrays(tensor(pa.array(np.zeros(6, np.float32)), 3), schema=schema))
    refused(writer.finish(), "bad-features")


@pytest.mark.parametrize("codec", ["f16+zstd", "u8c+zstd"])
def test_a_huge_shape_takes_nothing_on_opening(codec):
    shape = (2048, 1 << 11, 1 << 11)  # 32 GiB a row
    packed = params(bytes(6 * 2048) if codec[0] == "u" else b"")
    data = craft_features(codec, 1, shape, [block(1, b"x")], **{"hapistore.params": packed})
    with little_memory():
        assert FeatureShardReader(data, where="here").header.shape == shape
    refused(data, "bad-block")


@pytest.mark.parametrize("text", ["", "!", "AAAA", base64.b64encode(zeros_frame(1 << 40)).decode(), params(bytes(17))])
def test_parameters_that_are_none(text):
    data = craft_features("u8c+zstd", 1, (3,), [block(1, b"x")], **{"hapistore.params": text})
    refused(data, "bad-params", "bad-block")


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\x00"])
def test_provenance_that_is_no_object(text):
    frame = zstandard.compress(bytes(25))
    refused(craft_features("f32+zstd", 2, (3,), [block(2, frame)], **{"hapistore.provenance": text}), "bad-features")


def reindexed(data: memoryview, change: Callable[[dict], object]) -> bytes:
    """The file with its index's JSON changed and sealed again, padded to its old length."""
    raw = bytearray(data)
    at = raw.rfind(MARKER) + len(MARKER)
    value, length = json.JSONDecoder().raw_decode(raw[at:].decode("latin-1"))
    tail_start = sum(size for size, _ in value["blocks"])
    text = json.dumps(change({**value, "sha256": BLANK.decode()}), separators=(",", ":")).encode()
    raw[at : at + length] = text[:length].ljust(length)
    tail = memoryview(raw)[tail_start:]
    seal = bytes(tail).find(b'"sha256":"') + len(b'"sha256":"')
    tail[seal : seal + 64] = compute_seal(tail, seal)
    return bytes(raw)


def checksum(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


@pytest.fixture
def whole():
    return craft_features("f32", 2, (3,), [tensor(pa.array(np.arange(6, dtype=np.float32)), 3)])


def test_reindexing_alone_changes_nothing(whole):
    assert reindexed(whole, lambda value: value) == bytes(whole)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: {**v, "blocks": []},
        lambda v: {**v, "blocks": 1},
        lambda v: {**v, "blocks": {"a": 1}},
        lambda v: {**v, "blocks": [[0, ""]]},
        lambda v: {**v, "blocks": [[-5, ""]]},
        lambda v: {**v, "blocks": [[1 << 60, ""]]},
        lambda v: {**v, "blocks": [["1", ""]]},
        lambda v: {**v, "blocks": [[1.5, ""]]},
        lambda v: {**v, "blocks": [[1]]},
        lambda v: {**v, "blocks": [[v["blocks"][0][0], "0" * 32]]},
        lambda v: {"blocks": v["blocks"]},
        lambda v: [],
        lambda v: 7,
    ],
)
def test_an_index_that_lies_is_refused(whole, change):
    with pytest.raises(FormatError):
        SealedFile(reindexed(whole, change), where="here")


def test_blocks_that_are_not_arrows_record_batches():
    """The index splits one record batch in two: every hash holds, the structure does not."""
    data = craft_features("f32", 2, (3,), [tensor(pa.array(np.arange(6, dtype=np.float32)), 3)] * 2)

    def merge(value):
        (first, _), (second, _) = value["blocks"]
        merged = first + second
        return {**value, "blocks": [[merged, checksum(bytes(data[:merged]))]]}

    with pytest.raises(FormatError) as caught:
        SealedFile(reindexed(data, merge), where="here")
    assert caught.value.code == "not-arrow"


def test_sealed_bytes_that_are_no_arrow():
    body = b"not an Arrow file at all" * 4
    index = {"blocks": [[len(body), checksum(body)]], "sha256": BLANK.decode()}
    tail = b"hapistore-seal/1:" + json.dumps(index, separators=(",", ":")).encode()
    at = tail.index(b'"sha256":"') + len(b'"sha256":"')
    data = body + tail[:at] + compute_seal(tail, at) + tail[at + 64 :]
    for reader in (SealedFile, FeatureShardReader, ImageShardReader):
        with pytest.raises(FormatError) as caught:
            reader(data, where="here")
        assert caught.value.code == "not-arrow"


@pytest.mark.parametrize("spans", [(0, 50, 1 << 30), (0, 1 << 30, 100), (0, -50, 100), (60, 50, 100)], ids=str)
def test_offsets_that_leave_the_file_are_refused(spans):
    """An Arrow binary column whose offsets point outside its data: validated before any access."""
    schema = pa.schema([pa.field("key", pa.binary())])
    writer = SealedWriter(schema)
    writer.write(pa.RecordBatch.from_arrays([pa.array([b"x" * 50] * 2, pa.binary())], schema=schema))
    data = writer.finish()
    assert SealedFile(data, where="here").block(0).num_rows == 2
    good, lying = (struct.pack("<iii", *offsets) for offsets in ((0, 50, 100), spans))
    before, _, after = bytes(data).rpartition(good)
    changed = before + lying + after

    def rehash(value):
        size = value["blocks"][0][0]
        return {**value, "blocks": [[size, checksum(changed[:size])]]}

    with pytest.raises(FormatError) as caught:
        SealedFile(reindexed(memoryview(changed), rehash), where="here").block(0)
    assert caught.value.code == "not-arrow"


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_bodies_that_arrow_would_unpack_are_refused(codec):
    """They unpack to whatever they claim, inside Arrow's reader."""
    schema = pa.schema([pa.field("key", pa.binary())])
    batch = pa.RecordBatch.from_arrays([pa.array([b"x" * 1000], pa.binary())], schema=schema)
    writer = SealedWriter(schema)
    writer._writer = pa.ipc.new_file(writer._sink, schema, options=pa.ipc.IpcWriteOptions(compression=codec))
    writer.write(batch)
    with pytest.raises(FormatError, match="compressed") as caught:
        SealedFile(writer.finish(), where="here")
    assert caught.value.code == "not-arrow"


def test_dictionaries_are_refused_when_written_and_when_read():
    values = pa.array(["a", "b"]).dictionary_encode()
    nested = pa.list_(values.type)
    for kind in (values.type, nested, pa.struct([("x", nested)])):
        with pytest.raises(ValueError, match="key is a dictionary"):
            SealedWriter(pa.schema([pa.field("key", kind)]))
    writer = SealedWriter(pa.schema([pa.field("key", pa.binary())]))
    schema = pa.schema([pa.field("key", values.type)])
    writer._file.truncate(writer._file.seek(8))
    writer._schema, writer._writer = schema, pa.ipc.new_stream(pa.PythonFile(writer._sink, mode="w"), schema)
    writer.write(pa.RecordBatch.from_arrays([values], schema=schema))
    with pytest.raises(FormatError) as caught:
        SealedFile(writer.finish(), where="here")
    assert caught.value.code == "not-arrow"


def test_the_marker_in_a_note_is_refused_when_written():
    frame = zstandard.compress(bytes(25))
    with pytest.raises(ValueError, match="hapistore-seal"):
        craft_features("f32+zstd", 2, (3,), [block(2, frame)], **{"hapistore.note": "hapistore-seal/1:{}"})
