"""The layout of compressed blocks: every combination of steps comes back, whatever a block claims is checked."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore_format import FormatError, get_codec
from hapistore_format.codecs.axes import ChannelAxes
from hapistore_format.codecs.layout import BlockShape, Layout, read_block, smallest_layout, write_block

LAYOUTS = [Layout(n) for n in range(8)]
STORED = {8: np.dtype("<u1"), 4: np.dtype("<u1"), 16: np.dtype("<f2"), 32: np.dtype("<f4")}


def some_block(
    seed: int, rows: int, feature: tuple[int, ...], bits: int, zeros: float
) -> tuple[np.ndarray, BlockShape]:
    random = np.random.default_rng(seed)
    stored = random.integers(0, 1 << min(bits, 12), (rows, *feature)).astype(STORED[bits])
    stored[random.random(stored.shape) < zeros] = 0
    return stored, BlockShape(rows, ChannelAxes.of(feature), STORED[bits], bits)


def decoded(raw: bytes, shape: BlockShape, feature: tuple[int, ...]) -> np.ndarray:
    out = np.full((shape.rows, *feature), 77, shape.dtype)
    read_block(raw, shape, out, where="here")
    return out


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(
    st.integers(0, 999),
    st.integers(1, 90),
    st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    st.sampled_from([4, 8, 16, 32]),
    st.sampled_from([0.0, 0.5, 0.97, 1.0]),
    st.sampled_from(LAYOUTS),
)
def test_what_is_written_comes_back(seed, rows, feature, bits, zeros, layout):
    stored, shape = some_block(seed, rows, feature, bits, zeros)
    raw = write_block(stored, shape, layout).tobytes()
    assert shape.least_bytes <= len(raw) <= shape.most_bytes
    assert raw[0] == layout
    assert decoded(raw, shape, feature).tobytes() == stored.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_signed_zeros_and_nan_of_a_lossless_codec_come_back(layout):
    stored = np.array([[0.0, -0.0, np.nan, np.inf], [-np.inf, 0.0, 1e-45, -0.0]], np.float32)
    shape = BlockShape(2, ChannelAxes.of((4,)), stored.dtype, 32)
    raw = write_block(stored, shape, layout).tobytes()
    assert decoded(raw, shape, (4,)).tobytes() == stored.tobytes()


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_block_of_another_size_is_refused(layout, bits):
    stored, shape = some_block(1, 70, (3, 2, 2), bits, 0.5)
    raw = write_block(stored, shape, layout).tobytes()
    for wrong in (b"", raw[:1], raw[:-1], raw + b"\0", raw + raw):
        with pytest.raises(FormatError) as caught:
            decoded(wrong, shape, (3, 2, 2))
        assert (caught.value.code, caught.value.where) == ("bad-block", "here")


@pytest.mark.parametrize("flags", [8, 16, 128, 255])
def test_an_unknown_layout_is_refused(flags):
    stored, shape = some_block(1, 4, (3,), 8, 0)
    raw = bytes([flags]) + write_block(stored, shape, Layout.PLAIN).tobytes()[1:]
    with pytest.raises(FormatError, match="unknown layout"):
        decoded(raw, shape, (3,))


def test_bits_of_a_bitmap_beyond_the_rows_are_refused():
    stored, shape = some_block(1, 70, (3,), 8, 0.5)
    raw = bytearray(write_block(stored, shape, Layout.SPARSE).tobytes())
    raw[1 + 15] |= 0x80  # the last bit of the first channel's second word
    for wrong in (raw, raw + b"\1"):
        with pytest.raises(FormatError, match="beyond its rows"):
            decoded(bytes(wrong), shape, (3,))


@pytest.mark.parametrize("classes", [[0, 0, 0, 0, 0], [9, 9, 1, 255, 0]])
def test_any_bytes_are_an_order_of_channels(classes):
    codes = np.arange(500, dtype=np.uint8).reshape(5, 100)  # channel by channel, as they stand
    raw = bytes([Layout.ORDERED]) + bytes(classes) + codes.tobytes()
    found = decoded(raw, BlockShape(100, ChannelAxes.of((5,)), np.dtype("u1"), 8), (5,))
    assert np.array_equal(found[:, np.argsort(classes, kind="stable")], codes.T)


@settings(max_examples=500, deadline=None, database=None, derandomize=True)
@given(st.binary(max_size=80), st.sampled_from([4, 8, 16, 32]), st.sampled_from([(3,), (2, 3), (3, 2, 1)]))
def test_any_bytes_are_refused_or_read(raw, bits, feature):
    shape = BlockShape(2, ChannelAxes.of(feature), STORED[bits], bits)
    found = None
    with contextlib.suppress(FormatError):
        found = decoded(raw, shape, feature)
    if found is not None:
        assert shape.least_bytes <= len(raw) <= shape.most_bytes
        assert bits != 4 or found.max() < 16


@pytest.mark.parametrize(("spec", "expected"), [("u8c+zstd", Layout.SPARSE), ("f32+zstd", Layout.SHUFFLED)])
def test_the_smallest_layout_is_taken(spec, expected):
    """Zeros at random of 4 in 5, and values of which only the low bytes are noise."""
    random = np.random.default_rng(2)
    features = random.normal(4, 1, (500, 40)).astype(np.float32)
    if expected == Layout.SPARSE:
        features[random.random(features.shape) < 0.8] = 0
    codec, axes = get_codec(spec), ChannelAxes.of((40,))
    block = codec.encode(features, codec.quantiser.fit(features, axes))
    chosen = Layout(zstandard.decompress(block)[0])
    assert chosen & expected
    stored = codec.quantiser.quantise(features, axes, codec.quantiser.fit(features, axes))
    shape = BlockShape(500, axes, stored.dtype, codec.quantiser.bits)
    sizes = {layout: len(codec.compressor.sketch(write_block(stored, shape, layout))) for layout in LAYOUTS}
    assert smallest_layout(stored, shape, codec.compressor.sketch) == chosen
    assert sizes[chosen] <= 1.01 * min(sizes.values())
