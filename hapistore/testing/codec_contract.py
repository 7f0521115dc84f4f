"""What every codec must do. Property tests: needs Hypothesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hapistore_format import Codec, FormatError, get_codec
from hapistore_format.codecs.axes import ChannelAxes

_SHAPES = hnp.array_shapes(min_dims=2, max_dims=5, min_side=1, max_side=5)
# Every magnitude there is: denormals, ordinary features, huge values.
_SCALES = [1e-44, 1e-40, 1e-20, 1e-3, 1.0, 1e3, 6e4, 1e20, 1e37]


def feature_arrays(limit: float) -> st.SearchStrategy[np.ndarray]:
    """float32 [rows, *shape] of 1 to 4 feature axes, finite, no magnitude beyond ``limit``."""
    scales = [np.float32(min(scale, limit)) for scale in _SCALES if scale <= limit or scale == 1.0]
    elements = st.sampled_from(scales).flatmap(
        lambda s: st.floats(-float(s), float(s), width=32, allow_nan=False, allow_infinity=False)
    )
    return _SHAPES.flatmap(
        lambda shape: hnp.arrays(np.float32, shape, elements=elements, fill=st.just(np.float32(0.5)))
    )


class CodecContract:
    """Inherit it for a codec that is registered by name::

        class TestMine(CodecContract):
            spec = "mine+zstd"
            def bound(self, features): ...

    Attributes:
        spec: the codec's name; ``lossless``: whether NaN and Inf pass too; ``largest``: what it can store.
    """

    spec: str
    lossless = False
    largest = float(np.finfo(np.float32).max)

    def bound(self, features: np.ndarray) -> np.ndarray:
        """How far each decoded value may be from its original; broadcasts over ``features``."""
        raise NotImplementedError("state the bound that the codec's documentation states")

    def exactly(self, value: float) -> float:
        """The nearest value that it can store; of codecs with a scale for each channel, any."""
        return value

    # helpers

    @property
    def codec(self) -> Codec:
        return get_codec(self.spec)

    def store(self, features: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...], ChannelAxes]:
        """Encode and decode: stored values, parameters, axes."""
        codec, shape = self.codec, features.shape[1:]
        axes = ChannelAxes.of(shape)
        params = codec.quantiser.fit(features, axes)
        block = codec.encode(features, params)
        stored = np.empty(features.shape, codec.quantiser.dtype)
        if isinstance(block, bytes):
            codec.decode(memoryview(block), stored, where="test")
        else:
            assert codec.compressor is None
            assert block.shape == (len(features), *codec.raw_shape(shape))
            codec.decode(block, stored, where="test")
            view = codec.view(block, features.shape)
            assert view.dtype == stored.dtype
            assert view.tobytes() == stored.tobytes()
        packed = codec.quantiser.pack(params)
        assert len(packed) == codec.quantiser.packed_bytes(axes)
        return stored, codec.quantiser.unpack(packed, axes, where="test"), axes

    def decode_all(self, features: np.ndarray) -> np.ndarray:
        stored, params, axes = self.store(features)
        out = np.empty(features.shape, np.float32)
        self.codec.quantiser.gather(stored, np.arange(len(features)), axes, params, out)
        return out

    def check_bound(self, features: np.ndarray) -> None:
        found = self.decode_all(features)
        error = np.abs(found.astype(np.float64) - features)
        excess = error - self.bound(features)
        assert (excess <= 0).all(), f"off by {error.flat[int(np.argmax(excess))]} at {np.argmax(excess)}"

    # what it stores

    def test_values_stay_within_the_stated_bound(self) -> None:
        @settings(max_examples=150, deadline=None, database=None, derandomize=True)
        @given(feature_arrays(self.largest / 8))
        def check(features: np.ndarray) -> None:
            self.check_bound(features)

        check()

    @pytest.mark.parametrize("scale", _SCALES)
    def test_values_of_any_magnitude_stay_within_the_bound(self, scale: float) -> None:
        features = np.random.default_rng(1).normal(0, 1, (50, 7, 3, 2)).astype(np.float32)
        self.check_bound((features * min(scale, self.largest / 10)).astype(np.float32))

    @pytest.mark.parametrize("value", [0.0, 1.0, -3.25, 1e-45, 60000.0])
    def test_constant_channels_are_exact(self, value: float) -> None:
        features = np.full((4, 3, 2, 2), self.exactly(value), np.float32)
        features[:, 1] = np.random.default_rng(2).normal(size=(4, 2, 2))
        assert np.array_equal(self.decode_all(features)[:, [0, 2]], features[:, [0, 2]])

    @pytest.mark.parametrize("shape", [(1, 1), (1, 5), (1, 1, 1, 1), (1, 4, 3, 2), (7, 6, 5), (3, 2, 2, 2, 2)])
    def test_any_shape_down_to_one_value(self, shape: tuple[int, ...]) -> None:
        self.check_bound(np.random.default_rng(3).normal(size=shape).astype(np.float32))

    @pytest.mark.parametrize("shape", [(6, 8), (6, 4, 8), (6, 4, 3, 2)])
    def test_the_layout_in_memory_does_not_matter(self, shape: tuple[int, ...]) -> None:
        plain = np.random.default_rng(4).normal(size=shape).astype(np.float32)
        expected = self.decode_all(plain)
        wide = np.zeros((shape[0] * 2, *shape[1:-1], shape[-1] * 3), np.float32)
        wide[::2, ..., 1::3] = plain
        for other in (np.asfortranarray(plain), wide[::2, ..., 1::3], plain[::-1].copy()[::-1]):
            assert np.array_equal(other, plain)
            assert np.array_equal(self.decode_all(other), expected)

    def test_the_input_is_left_as_it_is(self) -> None:
        features = np.random.default_rng(5).normal(size=(4, 3, 2)).astype(np.float32)
        before = features.copy()
        features.flags.writeable = False
        self.decode_all(features)
        assert np.array_equal(features, before)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("shape", [(5, 4), (5, 3, 4), (5, 4, 2, 2)])
    def test_what_is_not_finite_is_exact_or_refused_by_row(self, value: float, shape: tuple[int, ...]) -> None:
        features = np.ones(shape, np.float32)
        features[3].flat[-1] = value
        if self.lossless:
            assert np.array_equal(self.decode_all(features), features, equal_nan=True)
            return
        with pytest.raises(FormatError, match="row 3 ") as caught:
            self.store(features)
        assert caught.value.code == "not-finite"

    def test_what_is_too_large_is_exact_or_refused(self) -> None:
        features = np.ones((3, 2), np.float32)
        features[1, 1] = 3.4e38
        features[2, 1] = -3.4e38
        if self.lossless:
            assert np.array_equal(self.decode_all(features), features)
            return
        with pytest.raises(FormatError) as caught:
            self.store(features)
        assert caught.value.code == "out-of-range"

    # rows

    @pytest.mark.parametrize("shape", [(6, 5), (6, 3, 5), (6, 5, 2, 2)])
    @pytest.mark.parametrize("rows", [[0], [5, 0, 3], [2, 2, 2], [5, 4, 3, 2, 1, 0, 5], []])
    def test_gathered_rows_are_those_rows(self, shape: tuple[int, ...], rows: list[int]) -> None:
        features = np.random.default_rng(6).normal(size=shape).astype(np.float32)
        stored, params, axes = self.store(features)
        out = np.full((len(rows), *shape[1:]), np.nan, np.float32)
        self.codec.quantiser.gather(stored, np.array(rows, np.int64), axes, params, out)
        assert np.array_equal(out, self.decode_all(features)[rows])

    @pytest.mark.parametrize("rows", [[-1], [6], [0, 6], [0, -1, 2], [1 << 40], [-(1 << 40)]])
    def test_rows_out_of_range_are_refused(self, rows: list[int]) -> None:
        features = np.random.default_rng(7).normal(size=(6, 4)).astype(np.float32)
        stored, params, axes = self.store(features)
        out = np.empty((len(rows), 4), np.float32)
        with pytest.raises(IndexError):
            self.codec.quantiser.gather(stored, np.array(rows, np.int64), axes, params, out)

    def test_an_output_that_does_not_fit_is_refused(self) -> None:
        features = np.random.default_rng(8).normal(size=(6, 4)).astype(np.float32)
        stored, params, axes = self.store(features)
        for out in (np.empty((2, 4), np.float32), np.empty((3, 8), np.float32)[:, ::2], np.empty((3, 5), np.float32)):
            with pytest.raises(ValueError, match="expected"):
                self.codec.quantiser.gather(stored, np.arange(3), axes, params, out)

    # damage

    def test_a_block_that_is_damaged_or_of_another_size_is_refused(self) -> None:
        codec = self.codec
        features = np.random.default_rng(9).normal(size=(6, 4)).astype(np.float32)
        block = codec.encode(features, codec.quantiser.fit(features, ChannelAxes.of((4,))))
        if not isinstance(block, bytes):
            with pytest.raises(TypeError, match="not compressed"):
                codec.decode(memoryview(b""), np.empty((6, 4), codec.quantiser.dtype), where="here")
            return
        for wrong in (b"", block[:-1], block[: len(block) // 2], block + b"x", b"x" * 50, block + block):
            with pytest.raises(FormatError) as caught:
                codec.decode(memoryview(wrong), np.empty((6, 4), codec.quantiser.dtype), where="here")
            assert caught.value.where == "here"
        for shape in ((5, 4), (6, 5), (300, 4)):  # of 7 rows, a bitmap may be as large as of 6
            with pytest.raises(FormatError):
                codec.decode(memoryview(block), np.empty(shape, codec.quantiser.dtype), where="here")
