"""Each kernel of the layout equals the numpy reference beside it, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hapistore_format.codecs import layout_kernels as kernels

CHECKED = settings(max_examples=200, deadline=None, database=None, derandomize=True)
DTYPES = st.sampled_from([np.uint8, np.uint16, np.uint32])
SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


def permutation(data: st.DataObject, count: int) -> np.ndarray:
    return np.array(data.draw(st.permutations(range(count))), np.int64)


@CHECKED
@given(st.data(), SHAPES, DTYPES)
def test_rows_from_channels(data, shape, dtype):
    count, channels, inner = shape
    by_channel = data.draw(hnp.arrays(dtype, (channels, count, inner)))
    places = permutation(data, channels)
    found, expected = (np.empty(shape, dtype) for _ in range(2))
    kernels.rows_from_channels(by_channel, places, found)
    kernels.rows_from_channels_reference(by_channel, places, expected)
    assert same(found, expected)


@CHECKED
@given(st.data(), st.integers(1, 20), st.integers(1, 20))
def test_byte_rows_from_channels(data, count, channels):
    by_channel = data.draw(hnp.arrays(np.uint8, (channels, count)))
    places = permutation(data, channels)
    found, expected = (np.empty((count, channels), np.uint8) for _ in range(2))
    kernels.byte_rows_from_channels(by_channel, places, found)
    kernels.byte_rows_from_channels_reference(by_channel, places, expected)
    assert same(found, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("shape", [(301, 37, 3), (301, 37, 1), (256, 40, 1)])
def test_rows_beyond_one_tile(shape, dtype):
    count, channels, inner = shape
    random = np.random.default_rng(4)
    by_channel = random.integers(0, np.iinfo(dtype).max, (channels, count, inner)).astype(dtype)
    places = random.permutation(channels)
    found, expected = (np.empty(shape, dtype) for _ in range(2))
    kernels.rows_from_channels(by_channel, places, found)
    kernels.rows_from_channels_reference(by_channel, places, expected)
    assert same(found, expected)
    if dtype == np.uint8 and inner == 1:
        found = np.empty((count, channels), np.uint8)
        kernels.byte_rows_from_channels(by_channel[:, :, 0], places, found)
        assert same(found, expected[:, :, 0])


@CHECKED
@given(st.data(), SHAPES | st.tuples(st.integers(60, 140), st.integers(1, 3), st.integers(1, 3)), DTYPES)
def test_scatter_nonzeros(data, shape, dtype):
    count, channels, inner = shape
    seed = data.draw(st.integers(0, 1000))
    density = data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    random = np.random.default_rng(seed)
    bits = np.zeros((channels, -(-count * inner // 64) * 64), np.uint8)
    bits[:, : count * inner] = random.random((channels, count * inner)) < density
    bitmap = np.packbits(bits, axis=1, bitorder="little").view("<u8")
    values = random.integers(1, np.iinfo(dtype).max, int(bits.sum())).astype(dtype)
    places = permutation(data, channels)
    found, expected = (np.full(shape, 7, dtype) for _ in range(2))
    kernels.scatter_nonzeros(bitmap, values, places, found)
    kernels.scatter_nonzeros_reference(bitmap, values, places, expected)
    assert same(found, expected)


@CHECKED
@given(st.integers(0, 30).flatmap(lambda groups: hnp.arrays(np.uint8, (8, groups))))
def test_join_bits(planes):
    found, expected = (np.empty(planes.shape[1], np.uint64) for _ in range(2))
    kernels.join_bits(planes, found)
    kernels.join_bits_reference(planes, expected)
    assert same(found, expected)
    bits = np.unpackbits(planes, axis=1, bitorder="little")
    for i, code in enumerate(found.view(np.uint8)[:20]):
        assert code == sum(int(bits[j, i]) << j for j in range(8))


@CHECKED
@given(st.data(), st.sampled_from([2, 4]), st.integers(0, 40))
def test_join_bytes(data, size, count):
    planes = data.draw(hnp.arrays(np.uint8, (size, count)))
    found, expected = (np.empty(count, f"<u{size}") for _ in range(2))
    kernels.join_bytes(planes, found)
    kernels.join_bytes_reference(planes, expected)
    assert same(found, expected)


@CHECKED
@given(hnp.arrays(np.uint8, st.integers(0, 70), elements=st.integers(0, 15)))
def test_pack_nibbles(codes):
    packed = kernels.pack_nibbles(codes)
    assert same(packed, kernels.pack_nibbles_reference(codes))
    assert len(packed) == -(-len(codes) // 2)
    assert same(kernels.unpack_nibbles(packed, len(codes)), codes)


@CHECKED
@given(hnp.arrays(np.uint8, st.integers(0, 70)), st.booleans())
def test_unpack_nibbles(packed, odd):
    count = max(0, 2 * len(packed) - odd)
    assert same(kernels.unpack_nibbles(packed, count), kernels.unpack_nibbles_reference(packed, count))


def test_every_kernel_has_a_reference_and_a_test():
    names = {name for name, value in vars(kernels).items() if hasattr(value, "py_func") and name[0] != "_"}
    places = {"rows_from_channels", "byte_rows_from_channels", "scatter_nonzeros"}
    assert names == places | {"join_bits", "join_bytes", "pack_nibbles", "unpack_nibbles"}
    assert all(hasattr(kernels, f"{name}_reference") for name in names)
    assert all(f"test_{name}" in globals() for name in names)
