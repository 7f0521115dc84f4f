"""Every codec of the house keeps the codec's contract, within the bound that quantisers.py states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hapistore.testing.codec_contract import CodecContract
from hapistore_format import FormatError, codec_names, get_codec
from hapistore_format.codecs.axes import ChannelAxes
from hapistore_format.codecs.quantisers import QUANTISERS, _round_up_to_bfloat16


class TestF32(CodecContract):
    spec = "f32"
    lossless = True

    def bound(self, features):
        return np.zeros(features.shape)


class TestF32Zstd(TestF32):
    spec = "f32+zstd"


class TestF32Lz4(TestF32):
    spec = "f32+lz4"


class TestF16(CodecContract):
    spec = "f16"
    largest = 65504.0

    def bound(self, features):
        return np.maximum(2.0**-11 * np.abs(features.astype(np.float64)), 2.0**-25)

    def exactly(self, value):
        return float(np.float16(value))


class TestF16Zstd(TestF16):
    spec = "f16+zstd"


class TestF16Lz4(TestF16):
    spec = "f16+lz4"


class TestBf16(CodecContract):
    spec = "bf16"
    largest = 2.0**127 * (2 - 2.0**-7)

    def bound(self, features):
        return np.maximum(2.0**-8 * np.abs(features.astype(np.float64)), 2.0**-134)

    def exactly(self, value):
        bits = np.float32(value).view(np.uint32)
        return float((bits & np.uint32(0xFFFF0000)).view(np.float32))


class TestBf16Zstd(TestBf16):
    spec = "bf16+zstd"


class TestBf16Lz4(TestBf16):
    spec = "bf16+lz4"


class TestU8c(CodecContract):
    spec = "u8c"
    levels, divisor = 255, 500

    def bound(self, features):
        x = ChannelAxes.of(features.shape[1:]).view(features).astype(np.float64)
        low, high = x.min(axis=(0, 2), keepdims=True), x.max(axis=(0, 2), keepdims=True)
        bound = (high - low) / self.divisor + 2.0**-22 * np.maximum(abs(low), abs(high)) + 2.0**-133
        return np.broadcast_to(bound, x.shape).reshape(features.shape)

    def test_a_value_is_zero_plus_scale_times_code(self):
        features = np.random.default_rng(1).normal(size=(40, 3, 2, 2)).astype(np.float32)
        stored, (scale, zero), _ = self.store(features)
        expected = zero[:, None, None] + scale[:, None, None] * stored.astype(np.float32)
        assert np.array_equal(self.decode_all(features), expected)
        assert np.array_equal(zero, features.min(axis=(0, 2, 3)))
        span = features.max(axis=(0, 2, 3)).astype(np.float64) - zero
        assert ((scale >= span / self.levels) & (scale <= span / self.levels * (1 + 2.0**-7))).all()
        assert not (scale.view(np.uint32) & 0xFFFF).any()  # a bfloat16 each

    def test_channels_do_not_share_a_scale(self):
        features = np.stack([np.linspace(0, 1, 50), np.linspace(0, 1000, 50)], axis=1).astype(np.float32)
        assert np.abs(self.decode_all(features)[:, 0] - features[:, 0]).max() < 1 / self.levels

    def test_tokens_share_their_channels_scale(self):
        features = np.random.default_rng(2).normal(size=(5, 7, 3)).astype(np.float32)
        _, (scale, _), _ = self.store(features)
        assert len(scale) == 3

    @pytest.mark.parametrize("damage", ["nan scale", "negative scale", "inf zero", "short", "long"])
    def test_impossible_parameters_are_refused(self, damage):
        quantiser, axes = QUANTISERS["u8c"], ChannelAxes.of((2,))
        scale, zero = np.ones(2, np.float32), np.zeros(2, np.float32)
        if damage in ("nan scale", "negative scale"):
            scale[1] = np.nan if damage == "nan scale" else -1
        if damage == "inf zero":
            zero[0] = np.inf
        data = quantiser.pack((scale, zero))
        data = {"short": data[:-1], "long": data + b"\0"}.get(damage, data)
        with pytest.raises(FormatError) as caught:
            quantiser.unpack(data, axes, where="here")
        assert caught.value.code == "bad-params"


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(
    st.floats(0, 2.0**125)
    | st.floats(0, 2.0**125, width=32)
    | st.floats(0, 1024, width=16).map(lambda x: x * (1 + 2**-40))
)
@example(1 + 2.0**-40)
@example(5e-324)
@example(0.0)
def test_a_scale_is_the_smallest_bfloat16_not_below(value):
    found = _round_up_to_bfloat16(np.array([value]))
    bits = int(found.view(np.uint32)[0])
    assert bits & 0xFFFF == 0
    assert float(found[0]) >= value
    if value:
        below = np.array([bits - 0x10000], np.uint32).view(np.float32)[0]
        assert float(below) < value


class TestU8cZstd(TestU8c):
    spec = "u8c+zstd"


class TestU8cLz4(TestU8c):
    spec = "u8c+lz4"


class TestU4c(TestU8c):
    spec = "u4c"
    levels, divisor = 15, 29


class TestU4cZstd(TestU4c):
    spec = "u4c+zstd"


def test_every_codec_is_tested():
    tested = {value.spec for value in globals().values() if isinstance(value, type) and hasattr(value, "spec")}
    assert tested == set(codec_names())


@pytest.mark.parametrize("spec", ["", "u8", "u8c+", "u8c+zstd+zstd", "+zstd", "u8c+gzip", "u4c+lz4", "U8C", "u8c zstd"])
def test_an_unknown_codec_is_refused_and_the_known_ones_are_listed(spec):
    with pytest.raises(FormatError) as caught:
        get_codec(spec)
    assert caught.value.code == "unknown-codec"
    assert all(name in str(caught.value) for name in codec_names())


def test_a_near_miss_gets_a_suggestion():
    with pytest.raises(FormatError, match=r"did you mean u8c\+zstd\?"):
        get_codec("u8c+zst")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((5,), (1, 5, 1)), ((7, 5), (7, 5, 1)), ((5, 2, 3), (1, 5, 6)), ((5, 2, 3, 4), (1, 5, 24))],
)
def test_the_channel_axis_of_each_kind_of_feature(shape, axes):
    assert ChannelAxes.of(shape) == axes
    assert ChannelAxes.of(shape).row_values == np.prod(shape)
