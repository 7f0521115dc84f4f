"""A shard without its compressor: bit for bit the same, and read in place where it is mapped."""

from __future__ import annotations

import mmap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore_format import (
    FeatureShardReader,
    MissingRow,
    codec_names,
    get_codec,
    write_decoded_shard,
    write_feature_shard,
)

A, B = "ab" * 32, "cd" * 32


def written(features: np.ndarray, codec: str, missing=()) -> FeatureShardReader:
    data = write_feature_shard(
        features, codec=codec, recipe=A, images=B, provenance={"device": "here"}, missing=missing
    )
    return FeatureShardReader(data, where="shard")


@pytest.mark.parametrize("codec", codec_names())
@settings(max_examples=10, deadline=None, database=None, derandomize=True)
@given(st.integers(1, 40), st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple), st.integers(0, 1000))
def test_values_parameters_missing_rows_and_notes_stay(codec, rows, shape, seed):
    random = np.random.default_rng(seed)
    missing = [MissingRow(int(row), "truncated") for row in np.flatnonzero(random.random(rows) < 0.2)]
    shard = written(random.normal(size=(rows, *shape)).astype(np.float32), codec, missing)
    decoded = FeatureShardReader(write_decoded_shard(shard), where="decoded")
    assert decoded.header.codec == codec.partition("+")[0]
    assert {**vars(decoded.header), "codec": ""} == {**vars(shard.header), "codec": ""}
    assert decoded.notes == shard.notes and decoded.provenance == {"device": "here"}
    assert np.array_equal(decoded.stored(), shard.stored())
    assert [p.tobytes() for p in decoded.params] == [p.tobytes() for p in shard.params]
    assert np.array_equal(decoded.features().view(np.uint32), shard.features().view(np.uint32))
    assert bytes(write_decoded_shard(decoded)) == bytes(write_decoded_shard(shard))


@pytest.mark.parametrize("codec", [name for name in codec_names() if get_codec(name).quantiser.bits != 4])
def test_stored_values_are_views_of_a_mapped_file(codec, tmp_path):
    shard = written(np.random.default_rng(0).random((3000, 7, 11), np.float32), codec)
    path = tmp_path / "decoded.arrow"
    path.write_bytes(write_decoded_shard(shard))
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    stored = FeatureShardReader(memoryview(mapped), where="decoded").stored()
    start = np.frombuffer(mapped, np.uint8).ctypes.data
    assert start <= stored.ctypes.data < start + len(mapped) and stored.flags.c_contiguous
    assert stored.ctypes.data % stored.itemsize == 0
    assert np.array_equal(stored, shard.stored())
