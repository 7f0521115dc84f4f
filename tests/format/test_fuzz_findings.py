"""What writing and running the fuzz targets found, as small as it gets: rightly sealed, and once no FormatError."""

from __future__ import annotations

import json
import struct

import pyarrow as pa
import pytest

from hapistore_format import (
    AnnotationShard,
    DatasetVersion,
    FeatureShardReader,
    FormatError,
    ImageShardReader,
    Recipe,
    codec_names,
    file_digest,
    read_sealed_json,
    read_weights,
    write_annotations,
    write_image_shard,
)
from hapistore_format.sealed_arrow import SealedFile, SealedWriter


def refusal(read, *arguments) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read(*arguments, where="here")
    assert caught.value.where == "here" and str(caught.value).isprintable() and len(str(caught.value)) < 1000
    return caught.value


def one_block(table: pa.Table) -> bytes:
    writer = SealedWriter(table.schema)
    writer.write(table.to_batches()[0])
    return bytes(writer.finish())


def test_an_index_batch_that_arrow_would_unpack_is_refused(fuzzing):
    """3 KB that took 80 MB: the tail's record batch was handed to Arrow unseen."""
    table = pa.table({"x": pa.array([b"1"], pa.binary())})
    whole = one_block(table)
    start = SealedFile(whole, where="here")._spans[0].nbytes
    sink = pa.BufferOutputStream()
    writer = pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))
    index = SealedFile(whole, where="here").extra["hapistore.index"]
    bomb = pa.record_batch([pa.array([bytes(80 << 20)], pa.binary())], schema=table.schema)
    writer.write_batch(bomb, custom_metadata={"hapistore.index": index})
    writer.close()
    tail = sink.getvalue().to_pybytes()[len(table.schema.serialize()) :]
    data = fuzzing.hostile.resealed(whole[:start] + tail)
    del bomb, sink, writer
    with fuzzing.targets.bounded_memory():
        assert "compressed" in str(refusal(SealedFile, data))


@pytest.mark.parametrize("place", ["a column", "inside a column"])
def test_names_that_are_no_utf8_are_refused(fuzzing, place):
    columns = {"QQQQ": [1]} if place == "a column" else {"x": [{"QQQQ": 1}]}
    data = one_block(pa.table(columns)).replace(b"QQQQ", b"\xff\xfe\xfd\xfc")
    assert refusal(SealedFile, fuzzing.hostile.resealed(data)).code == "not-arrow"
    images = bytes(write_image_shard(fuzzing.hostile.some_records(1))[1]).replace(b"orientation", b"orientatio\xff")
    assert refusal(ImageShardReader, fuzzing.hostile.resealed(images)).code == "not-arrow"


@pytest.mark.parametrize("name", ["key", "label", "weight"])
def test_two_columns_of_one_name_are_refused(make, name):
    table = make.annotations()
    data = write_annotations(table.append_column(name, table["weight"]))
    assert refusal(AnnotationShard, data).code == "bad-annotations"


@pytest.mark.parametrize("codec", codec_names())
def test_a_row_of_more_values_than_arrow_counts_is_refused(fuzzing, codec):
    header = {"format": 1, "recipe": make_digest(1), "images": make_digest(2), "codec": codec, "rows": 1}
    text = json.dumps({**header, "shape": [1 << 17, 1 << 15]}).encode()
    block = [pa.array([1], pa.int32()), pa.array([b"x"], pa.binary())]
    data = fuzzing.hostile.feature_shard("f32+zstd", (3,), text, [block])
    assert refusal(FeatureShardReader, data).code in ("bad-features", "bad-params")


def make_digest(number: int) -> str:
    return f"{number:064x}"


@pytest.mark.parametrize("counts", [(2, 0), (0, 2), (1, 0, 1)])
@pytest.mark.parametrize("codec", [name for name in codec_names() if "+" not in name])
def test_blocks_of_no_rows_are_refused(fuzzing, codec, counts):
    targets = fuzzing.targets.feature_targets
    batches = [targets._tensor(codec, (3,), count, bytes(24)) for count in counts]
    reader = targets._open(codec, (3,), targets._header(codec, 2, (3,)), batches)
    with pytest.raises(FormatError, match="has 0 rows") as caught:
        reader.features()
    assert caught.value.code == "bad-block"


def test_an_unknown_codec_is_refused_with_the_name_of_the_file(fuzzing):
    targets = fuzzing.targets.feature_targets
    with pytest.raises(FormatError, match="here: codec 'f33'") as caught:
        targets._open("f32", (3,), targets._header("f33", 2, (3,)), [targets._tensor("f32", (3,), 2, b"")])
    assert caught.value.code == "unknown-codec"


@pytest.mark.parametrize("change", [lambda v: [[True, c] for _, c in v], lambda v: [[n + 5000, c] for n, c in v]])
def test_blocks_that_are_no_integers_or_go_beyond_the_index_are_refused(change):
    data = one_block(pa.table({"x": [1]}))
    at = data.rindex(b'{"blocks"')
    value, length = json.JSONDecoder().raw_decode(data[at:].decode("latin-1"))
    text = json.dumps({**value, "blocks": change(value["blocks"])}, separators=(",", ":")).encode()
    changed = data[:at] + text + data[at + length :] + bytes(9000)
    assert refusal(SealedFile, changed).code == "bad-index"


@pytest.mark.parametrize(("depth", "read"), [(62, True), (64, False), (300, False), (900, False), (5000, False)])
def test_nesting_ends_where_the_format_says_and_not_where_the_stack_does(make, depth, read):
    text = '{"format": 1, "a": ' + "[" * depth + "]" * depth
    if read:
        assert read_sealed_json(make.sealed(text), where="here")["format"] == 1
    else:
        assert refusal(read_sealed_json, make.sealed(text)).code == "bad-json"


@pytest.mark.parametrize("member", ["dataset", "created"])
@pytest.mark.parametrize("text", ["\ud800", "\x1b[2J", "a\nb", "../x"])
def test_a_version_that_cannot_be_shown_is_refused(make, member, text):
    data = make.version().serialise()[:-68].decode()
    value = json.loads(data[: data.rindex(",\n")] + "}")
    data = make.sealed(json.dumps({**value, member: text})[:-1])
    if (member, text) == ("created", "../x"):
        assert DatasetVersion.parse(data, where="here").created == text
    else:
        assert refusal(DatasetVersion.parse, data).code == "bad-field"


@pytest.mark.parametrize("number", [0, -1, 100_000_000, 10**4000])
def test_a_version_number_that_no_name_has_is_refused(make, number):
    data = make.version().serialise()[:-68].decode().replace('"version": 7', f'"version": {number}')
    assert refusal(DatasetVersion.parse, make.sealed(data[: data.rindex(",\n")])).code == "bad-field"


def test_notes_that_cannot_be_written_again_are_refused(make):
    data = make.recipe().serialise()[:-68].decode().replace("imagenet", "\\ud800")
    assert refusal(Recipe.parse, make.sealed(data[: data.rindex(",\n")])).code == "bad-field"


def weights_file(header: str, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + body


@pytest.mark.parametrize("sides", ["true", "1, true", "0, -1", "0, 1.5"])
def test_sides_of_a_tensor_that_are_no_sizes_are_refused(sides):
    start = "0" if sides.startswith("0") else "1"
    data = weights_file(f'{{"a":{{"dtype":"U8","shape":[{sides}],"data_offsets":[0,{start}]}}}}', b"x")
    assert refusal(read_weights, data, file_digest(data)).code == "bad-weights"


def test_a_shape_whose_product_would_take_hours_is_refused():
    sides = ",".join(["9" * 4000] * 3000)
    data = weights_file(f'{{"a":{{"dtype":"U8","shape":[{sides}],"data_offsets":[0,1]}}}}', b"x")
    assert refusal(read_weights, data, file_digest(data)).code == "bad-weights"


def test_a_long_name_does_not_make_a_long_error():
    header = f'{{"a":{{"dtype":"{"x" * 5000}","shape":[],"data_offsets":[0,1]}}}}'
    data = weights_file(header, b"x")
    refusal(read_weights, data, file_digest(data))
    refusal(ImageShardReader, one_block(pa.table({"x" * 5000: [1]})))
    refusal(AnnotationShard, one_block(pa.table({"x\n" * 2000: [1]})))
