"""Each kernel of the quantisers equals the numpy reference beside it, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hapistore_format.codecs import value_kernels as kernels

CHECKED = settings(max_examples=200, deadline=None, database=None, derandomize=True)
SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6)
FLOATS = st.floats(-(2.0**126), 2.0**126, width=32)
ANY_FLOATS = st.floats(width=32)
SCALES = st.floats(min_value=0, max_value=2.0**100, width=32, allow_nan=False)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


@CHECKED
@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=ANY_FLOATS)))
def test_channel_range(x):
    found, expected = (np.zeros((2, x.shape[1]), np.float32) for _ in range(2))
    bad = kernels.channel_range(x, *found)
    assert bad == kernels.channel_range_reference(x, *expected)
    if bad < 0:  # otherwise nobody uses them
        assert np.array_equal(found, expected)  # -0.0 and 0.0 are one range


@CHECKED
@given(st.data(), SHAPES)
def test_quantise(data, shape):
    x = data.draw(hnp.arrays(np.float32, shape, elements=FLOATS))
    scale = data.draw(hnp.arrays(np.float32, shape[1], elements=SCALES))
    zero = data.draw(hnp.arrays(np.float32, shape[1], elements=FLOATS))
    levels = data.draw(st.sampled_from([15, 255]))
    found, expected = (np.empty(shape, np.uint8) for _ in range(2))
    kernels.quantise(x, scale, zero, levels, found)
    kernels.quantise_reference(x, scale, zero, levels, expected)
    assert same(found, expected)
    assert found.max(initial=0) <= levels


def test_quantise_rounds_halves_to_even():
    x = np.array([0.5, 1.5, 2.5, 3.5, 254.5, 255.5, -0.5], np.float32).reshape(-1, 1, 1)
    for quantise in (kernels.quantise, kernels.quantise_reference):
        q = np.empty(x.shape, np.uint8)
        quantise(x, np.ones(1, np.float32), np.zeros(1, np.float32), 255, q)
        assert q.ravel().tolist() == [0, 2, 2, 4, 254, 255, 0]


@CHECKED
@given(st.data(), SHAPES)
def test_dequantise(data, shape):
    q = data.draw(hnp.arrays(np.uint8, shape))
    scale = data.draw(hnp.arrays(np.float32, shape[1], elements=SCALES))
    zero = data.draw(hnp.arrays(np.float32, shape[1], elements=FLOATS))
    found, expected = (np.empty(shape, np.float32) for _ in range(2))
    kernels.dequantise(q, scale, zero, found)
    kernels.dequantise_reference(q, scale, zero, expected)
    assert same(found, expected)


def test_kernels_work_on_large_odd_sizes_too():
    """Sizes at which a compiler vectorises and has a rest."""
    random = np.random.default_rng(1)
    for shape in ((3, 1283, 1), (2, 5, 257)):
        x = random.normal(size=shape).astype(np.float32)
        scale, zero = random.random(shape[1]).astype(np.float32), random.normal(size=shape[1]).astype(np.float32)
        found, expected = (np.empty(shape, np.uint8) for _ in range(2))
        kernels.quantise(x, scale, zero, 255, found)
        kernels.quantise_reference(x, scale, zero, 255, expected)
        assert same(found, expected)
        back, reference = (np.empty(shape, np.float32) for _ in range(2))
        kernels.dequantise(found, scale, zero, back)
        kernels.dequantise_reference(found, scale, zero, reference)
        assert same(back, reference)


@CHECKED
@given(hnp.arrays(np.float32, st.integers(0, 20), elements=ANY_FLOATS))
def test_round_to_bfloat16(x):
    found, expected = (np.empty(len(x), np.uint16) for _ in range(2))
    kernels.round_to_bfloat16(x.view(np.uint32), found)
    kernels.round_to_bfloat16_reference(x.view(np.uint32), expected)
    assert same(found, expected)


def test_bfloat16_is_rounded_as_torch_does():
    torch = pytest.importorskip("torch", reason="torch is what it is compared with")
    bits = np.random.default_rng(5).integers(0, 1 << 32, 100_000, dtype=np.uint32)
    bits = np.append(bits, [0x3F808000, 0x3F818000, 0x80000001, 0x007FFFFF, 0x7F7FFFFF]).astype(np.uint32)
    bits = bits[np.isfinite(bits.view(np.float32))]
    found = np.empty(len(bits), np.uint16)
    kernels.round_to_bfloat16(bits, found)
    expected = torch.from_numpy(bits.view(np.float32)).bfloat16().view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(found, expected)


def test_every_kernel_has_a_reference_and_a_test():
    names = {name for name, value in vars(kernels).items() if hasattr(value, "py_func")}
    assert names == {"channel_range", "quantise", "dequantise", "round_to_bfloat16"}
    assert all(hasattr(kernels, f"{name}_reference") for name in names)
    assert all(f"test_{name}" in globals() for name in names)
