"""Weights files: safetensors, one spelling, nothing executed and nothing read outside."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore_format import DamagedError, FormatError, file_digest, read_weights, write_weights
from hapistore_format.weights import RawTensor

# The bytes of ``tiny()``. If they change, so do the names of all weights ever stored.
GOLDEN = "695634a84340f14e7a648140923341a22fe2a5401884a3999cb1798469acfad3"


def tiny() -> dict[str, RawTensor]:
    return {"w": RawTensor("F32", (2,), struct.pack("<2f", 1, 2)), "b": RawTensor("I64", (), struct.pack("<q", -1))}


def hostile(header: object, body: bytes = bytes(64)) -> tuple[bytes, str]:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + body
    return data, file_digest(data)


def test_the_bytes_are_what_they_always_were():
    digest, data = write_weights(tiny())
    assert digest == hashlib.sha256(data).hexdigest() == GOLDEN


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.lists(st.integers(0, 4), max_size=3).map(tuple),
        max_size=5,
    )
)
def test_what_goes_in_comes_out(shapes):
    tensors = {
        name: RawTensor("U8", shape, bytes(range(int(np.prod(shape, dtype=int))))) for name, shape in shapes.items()
    }
    digest, data = write_weights(tensors)
    found = read_weights(data, digest, where="here")
    assert {n: (t.dtype, t.shape, bytes(t.data)) for n, t in found.items()} == {n: tuple(t) for n, t in tensors.items()}
    assert write_weights(dict(reversed(tensors.items()))) == (digest, data)


def test_safetensors_reads_it(tmp_path):
    arrays = {
        "layer.weight": np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32),
        "layer.bias": np.arange(3, dtype=np.float16),
        "steps": np.array(7, np.int64),
        "é": np.zeros((0, 2), np.uint8),
    }
    names = {"float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8"}
    raw = {name: RawTensor(names[str(a.dtype)], a.shape, a.tobytes()) for name, a in arrays.items()}
    _, data = write_weights(raw)
    found = safetensors.numpy.load(data)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_what_safetensors_writes_is_read():
    data = safetensors.numpy.save({"a": np.arange(6, dtype=np.float32).reshape(2, 3)}, metadata=None)
    found = read_weights(data, file_digest(data), where="here")
    assert found["a"].shape == (2, 3)
    assert np.frombuffer(found["a"].data, np.float32).tolist() == [0, 1, 2, 3, 4, 5]


def test_other_bytes_than_those_named_are_found():
    _, data = write_weights(tiny())
    with pytest.raises(DamagedError) as caught:
        read_weights(data, "ab" * 32, where="here")
    assert caught.value.code == "bad-digest"


TENSOR = {"dtype": "F32", "shape": [2, 8], "data_offsets": [0, 64]}


def test_the_hostile_headers_start_from_a_good_one():
    data, digest = hostile({"a": TENSOR})
    assert read_weights(data, digest, where="here")["a"].shape == (2, 8)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        1,
        {"a": 1},
        {"a": {}},
        {"a": {**TENSOR, "dtype": "F128"}},
        {"a": {**TENSOR, "dtype": []}},
        {"a": {**TENSOR, "data_offsets": [0, 65]}},
        {"a": {**TENSOR, "data_offsets": [64, 0]}},
        {"a": {**TENSOR, "data_offsets": [-64, 0]}},
        {"a": {**TENSOR, "data_offsets": [1, 65]}},
        {"a": {**TENSOR, "data_offsets": [0]}},
        {"a": {**TENSOR, "data_offsets": "ab"}},
        {"a": {**TENSOR, "data_offsets": [0.0, 64.0]}},
        {"a": {**TENSOR, "data_offsets": [1 << 62, (1 << 62) + 64]}},
        {"a": {**TENSOR, "shape": [1 << 62]}},
        {"a": {**TENSOR, "shape": [-2, -8]}},
        {"a": {**TENSOR, "shape": [2.0, 8]}},
        {"a": {**TENSOR, "shape": "28"}},
        {"a": {**TENSOR, "shape": [3, 8]}},
        {"a": {**TENSOR, "shape": 16}},
    ],
    ids=lambda header: repr(header)[:40],
)
def test_a_hostile_header_is_refused(header):
    data, digest = hostile(header)
    with pytest.raises(FormatError) as caught:
        read_weights(data, digest, where="here")
    assert caught.value.code == "bad-weights"
    assert caught.value.where == "here"


@pytest.mark.parametrize("length", [1, 1 << 20, 1 << 40, (1 << 64) - 1])
def test_a_header_length_beyond_the_file_is_refused(length):
    data = struct.pack("<Q", length)
    with pytest.raises(FormatError) as caught:
        read_weights(data, file_digest(data), where="here")
    assert caught.value.code == "bad-weights"


@pytest.mark.parametrize("data", [b"", b"1234567"])
def test_a_file_shorter_than_its_length_field_is_refused(data):
    with pytest.raises(FormatError):
        read_weights(data, file_digest(data), where="here")
