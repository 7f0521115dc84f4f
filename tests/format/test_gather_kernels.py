"""Rows of many shards gathered in one call are what numpy gathers; of shards without an address nothing is touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hapistore_format.codecs import gather_kernels as kernels
from hapistore_format.codecs.axes import ChannelAxes
from hapistore_format.codecs.quantisers import QUANTISERS, Addresses, Picked

CHECKED = settings(max_examples=100, deadline=None, database=None, derandomize=True)
SIMPLE = {"gather_singles": np.float32, "gather_halves": np.uint16, "gather_bfloats": np.uint16}
SHARDS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def same(found, expected) -> bool:
    """Bit for bit, so that signed zeros and NaN count."""
    return np.array_equal(found.view(np.uint32), expected.view(np.uint32))


def addresses(arrays) -> np.ndarray:
    return np.array([array.ctypes.data for array in arrays], np.int64)


@st.composite
def picks(draw, counts):
    """Shards and rows of them, in any order, some more than once; and a place for each."""
    source = draw(hnp.arrays(np.int64, st.integers(0, 12), elements=st.integers(0, len(counts) - 1)))
    row = np.array([draw(st.integers(0, counts[at] - 1)) for at in source], np.int64)
    places = draw(st.permutations(range(len(row))))
    return source, row, np.array(places, np.int64)


@CHECKED
@given(st.data(), SHARDS, st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 1 << 32))
def test_gather_codes(data, counts, outer, channels, inner, seed):
    random = np.random.default_rng(seed)
    source, row, place = data.draw(picks(counts))
    codes = [random.integers(0, 256, (count, outer * channels * inner), dtype=np.uint8) for count in counts]
    scales = [random.random(channels).astype(np.float32) for _ in counts]
    zeros = [random.normal(size=channels).astype(np.float32) for _ in counts]
    found, expected = (np.full((len(row), outer * channels * inner), 7, np.float32) for _ in range(2))
    shape = (outer, channels, inner)
    kernels.gather_codes(*map(addresses, (codes, scales, zeros)), source, row, place, *shape, found)
    kernels.gather_codes_reference(codes, scales, zeros, source, row, place, *shape, expected)
    assert same(found, expected)


@pytest.mark.parametrize("name", SIMPLE)
@CHECKED
@given(data=st.data(), counts=SHARDS, width=st.integers(1, 70), seed=st.integers(0, 1 << 32))
def test_gather_values(name, data, counts, width, seed):
    random = np.random.default_rng(seed)
    source, row, place = data.draw(picks(counts))
    if SIMPLE[name] is np.float32:
        values = [random.normal(size=(count, width)).astype(np.float32) for count in counts]
    else:
        # Below the exponent of infinities, whose NaN need not keep their bits.
        values = [random.integers(0, 0x7C00, (count, width), dtype=np.uint16) for count in counts]
    found, expected = (np.empty((len(row), width), np.float32) for _ in range(2))
    getattr(kernels, name)(addresses(values), source, row, place, found)
    getattr(kernels, f"{name}_reference")(values, source, row, place, expected)
    assert same(found, expected)


@CHECKED
@given(data=st.data(), counts=SHARDS, width=st.integers(1, 70), seed=st.integers(0, 1 << 32))
def test_gather_stored(data, counts, width, seed):
    random = np.random.default_rng(seed)
    source, row, place = data.draw(picks(counts))
    values = [random.integers(0, 256, (count, width), dtype=np.uint8) for count in counts]
    found, expected = (np.empty((len(row), width), np.uint8) for _ in range(2))
    kernels.gather_stored(addresses(values), source, row, place, found)
    kernels.gather_stored_reference(values, source, row, place, expected)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["gather_halves", "gather_bfloats"])
def test_every_number_there_is(name):
    """Infinities and NaN too."""
    h = np.arange(1 << 16, dtype=np.uint16).reshape(-1, 64)
    row = np.random.default_rng(1).permutation(len(h))
    found, expected = (np.empty(h.shape, np.float32) for _ in range(2))
    source, place = np.zeros(len(row), np.int64), np.arange(len(row))
    getattr(kernels, name)(addresses([h]), source, row, place, found)
    getattr(kernels, f"{name}_reference")([h], source, row, place, expected)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert same(found[~np.isnan(found)], expected[~np.isnan(expected)])


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("outer", [1, 3])
@pytest.mark.parametrize("width", [16, 48, 1280, 1283, 257])
def test_widths_at_which_many_values_are_made_at_once_and_have_a_rest(width, outer, offset):
    """At an address that is a multiple of 64 bytes, and at another."""
    random = np.random.default_rng(width)
    codes = [random.integers(0, 256, (5, outer * width), dtype=np.uint8) for _ in range(3)]
    scales, zeros = ([random.random(width).astype(np.float32) for _ in range(3)] for _ in range(2))
    source, row, place = random.integers(0, 3, 40), random.integers(0, 5, 40), random.permutation(40)
    room = np.empty(40 * outer * width + 32, np.float32)
    first = -room.ctypes.data // 4 % 16 + offset
    found = room[first : first + 40 * outer * width].reshape(40, -1)
    expected = np.empty_like(found)
    kernels.gather_codes(*map(addresses, (codes, scales, zeros)), source, row, place, outer, width, 1, found)
    kernels.gather_codes_reference(codes, scales, zeros, source, row, place, outer, width, 1, expected)
    assert same(found, expected)


@pytest.mark.parametrize("codec", QUANTISERS)
def test_rows_of_shards_without_an_address_are_left_as_they_are(codec):
    quantiser, axes = QUANTISERS[codec], ChannelAxes.of((4,))
    features = np.random.default_rng(3).normal(size=(2, 5, 4)).astype(np.float32)
    table, held = Addresses.none(3), []
    for shard, rows in enumerate(features):
        params = quantiser.fit(rows, axes)
        held.append((quantiser.quantise(rows, axes, params), params))
        table.put(shard, *held[-1])
    picked = Picked(np.array([0, 2, 1, 0]), np.array([3, 0, 4, 1]), np.arange(4))
    out = np.full((4, 4), 9, np.float32)
    quantiser.gather_from(table, picked, axes, out)
    assert np.allclose(out[[0, 2, 3]], [features[0, 3], features[1, 4], features[0, 1]], atol=0.3)
    assert (out[1] == 9).all()
    only = np.full((4, 4), 9, np.float32)
    quantiser.gather_from(table.only(np.array([False, True, False])), picked, axes, only)
    assert (only[[0, 1, 3]] == 9).all()
    assert np.array_equal(only[2], out[2])


def test_every_kernel_has_a_reference():
    names = {name for name, value in vars(kernels).items() if hasattr(value, "py_func")}
    names.discard("_dequantise_lanes")
    assert names == {"gather_codes", "gather_stored", *SIMPLE}
    assert all(hasattr(kernels, f"{name}_reference") for name in names)
