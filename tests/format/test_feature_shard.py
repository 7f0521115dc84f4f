"""Feature shards: round trips through any codec, open to plain Arrow, and not to be lied to."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore_format import FeatureHeader, FeatureShardReader, FormatError, codec_names, write_feature_shard
from hapistore_format.feature_shard import _BLOCK_ROWS

A, B = "ab" * 32, "cd" * 32


def written(features: np.ndarray, codec: str, **more) -> memoryview:
    return write_feature_shard(features, codec=codec, recipe=A, images=B, provenance=more)


@pytest.mark.parametrize("codec", codec_names())
@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(st.integers(1, 40), st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple), st.integers(0, 1000))
def test_what_goes_in_comes_out(codec, rows, shape, seed):
    features = np.random.default_rng(seed).normal(size=(rows, *shape)).astype(np.float32)
    reader = FeatureShardReader(written(features, codec), where="here")
    assert reader.header == FeatureHeader(recipe=A, images=B, codec=codec, rows=rows, shape=shape)
    assert len(reader) == rows
    found = reader.features()
    assert found.dtype == np.float32
    atol = {"f32": 0, "f16": 2e-3, "bf16": 2e-2, "u8c": 2e-2, "u4c": 0.3}[codec.split("+")[0]]
    assert np.allclose(found, features, atol=atol, rtol=0)
    into = np.empty((rows, *shape), np.float32)
    assert reader.features(into) is into
    assert np.array_equal(into, found)
    picked = np.random.default_rng(seed).integers(0, rows, 7)
    out = np.empty((7, *shape), np.float32)
    reader.gather(reader.stored(), picked, out)
    assert np.array_equal(out, found[picked])


@pytest.mark.parametrize("codec", codec_names())
@pytest.mark.parametrize("rows", [_BLOCK_ROWS - 1, _BLOCK_ROWS, _BLOCK_ROWS + 1, 3 * _BLOCK_ROWS + 5])
def test_rows_keep_their_order_across_blocks(codec, rows):
    features = np.arange(rows, dtype=np.float32).reshape(-1, 1) % 251  # exact in bf16
    found = FeatureShardReader(written(features, codec), where="here").features()
    assert np.allclose(found, features, atol={"u8c": 250 / 500, "u4c": 250 / 29}.get(codec.split("+")[0], 0), rtol=0)
    assert np.array_equal(found, FeatureShardReader(written(features, codec), where="here").features())


def test_a_row_larger_than_a_block():
    features = np.random.default_rng(1).normal(size=(3, 3 << 20)).astype(np.float32)
    assert np.array_equal(FeatureShardReader(written(features, "f32"), where="here").features(), features)


def test_provenance_comes_back_and_does_not_change_values():
    features = np.ones((2, 3), np.float32)
    reader = FeatureShardReader(written(features, "u8c+zstd", executor="eager", seconds=1.5), where="here")
    assert reader.provenance == {"executor": "eager", "seconds": 1.5}


@pytest.mark.parametrize(
    ("codec", "dtype"), [("f32", pa.float32()), ("f16", pa.float16()), ("bf16", pa.uint16()), ("u8c", pa.uint8())]
)
def test_plain_arrow_opens_it_as_a_tensor(codec, dtype):
    features = np.random.default_rng(2).normal(size=(2000, 4, 3)).astype(np.float32)
    data = written(features, codec)
    table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    assert table.column_names == ["features"]
    assert table.num_rows == 2000
    column = table["features"].combine_chunks()
    assert column.type == pa.fixed_shape_tensor(dtype, [4, 3])
    tensor = column.to_numpy_ndarray()
    assert np.array_equal(tensor, FeatureShardReader(data, where="here").stored())
    if codec == "f32":
        assert np.array_equal(tensor, features)
    if codec == "f16":
        assert np.array_equal(tensor, features.astype(np.float16))


@pytest.mark.parametrize("codec", ["f16", "u8c", "u8c+zstd"])
def test_a_value_that_cannot_be_stored_is_refused_when_written(codec):
    features = np.ones((3000, 2), np.float32)
    features[2999, 1] = np.nan
    with pytest.raises(FormatError, match="row 2999 .*choose f32"):
        written(features, codec)


def test_no_rows_make_no_shard():
    with pytest.raises((ValueError, FormatError)):
        written(np.empty((0, 3), np.float32), "f32")


HEADER = {"format": 1, "recipe": A, "images": B, "codec": "f32", "rows": 5, "shape": [2, 3]}


def parse(header: object) -> FeatureHeader:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return FeatureHeader.parse(text, where="here")


def test_a_header_comes_back():
    header = parse(HEADER)
    assert parse(header.to_json().encode()) == header
    assert header.shape == (2, 3)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"", "bad-features"),
        (b"{", "bad-features"),
        (b"[" * 100_000, "bad-features"),
        (b"\xff\xff", "bad-features"),
        ([], "bad-features"),
        ({}, "bad-field"),
        ({**HEADER, "format": 2}, "unsupported-version"),
        ({**HEADER, "format": 0}, "unsupported-version"),
        ({**HEADER, "recipe": "x"}, "bad-field"),
        ({**HEADER, "images": 1}, "bad-field"),
        ({**HEADER, "codec": None}, "bad-field"),
        ({**HEADER, "rows": 0}, "bad-field"),
        ({**HEADER, "rows": -5}, "bad-field"),
        ({**HEADER, "rows": 5.0}, "bad-field"),
        ({**HEADER, "rows": True}, "bad-field"),
        ({**HEADER, "shape": []}, "bad-field"),
        ({**HEADER, "shape": [1] * 5}, "bad-field"),
        ({**HEADER, "shape": [0]}, "bad-field"),
        ({**HEADER, "shape": [-2, -3]}, "bad-field"),
        ({**HEADER, "shape": [2.0]}, "bad-field"),
        ({**HEADER, "shape": [1 << 31]}, "bad-field"),
        ({**HEADER, "rows": 1 << 62}, "too-large"),
        ({**HEADER, "shape": [(1 << 31) - 1] * 4}, "too-large"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_lying_header_is_refused(header, code):
    with pytest.raises(FormatError) as caught:
        parse(header)
    assert caught.value.code == code
    assert caught.value.where == "here"
