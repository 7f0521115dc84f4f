"""``auto`` takes the smallest codec whose error is within the bound, and says what it measured."""

from __future__ import annotations

import numpy as np
import pytest

from hapistore.catalog.codec_choice import AUTO, check_max_error, choose_codec, relative_error, replace_auto
from hapistore.errors import UsageError
from hapistore_format import codec_names


def relu_features(rows: int = 400) -> np.ndarray:
    return np.maximum(0, np.random.default_rng(1).normal(-0.5, 1, (rows, 96))).astype(np.float32)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [(0, "f32+zstd"), (1e-5, "f32+zstd"), (0.0008, "f16+zstd"), (0.002, "u8c+zstd"), (0.04, "u4c+zstd")],
)
def test_the_smallest_codec_within_the_bound_is_taken(bound, expected):
    choice = choose_codec(relu_features(), bound)
    assert choice.codec == expected
    assert {m.codec for m in choice.measured} == set(codec_names())
    within = [m for m in choice.measured if m.error <= bound]
    taken = next(m for m in choice.measured if m.codec == expected)
    assert taken.bytes_per_row == min(m.bytes_per_row for m in within)
    assert all(m.decode_bytes_s > 0 for m in choice.measured)


def test_what_is_measured_is_what_is_stored():
    features = relu_features()
    for m in choose_codec(features, 0.002).measured:
        quantiser = m.codec.split("+")[0]
        low, high = {
            "f32": (0, 0), "f16": (5e-5, 5e-4), "bf16": (5e-4, 4e-3), "u8c": (1.9e-3, 2e-3), "u4c": (0.03, 1 / 29)
        }[quantiser]  # fmt: skip
        assert low <= m.error <= high
        assert m.bytes_per_row < {"f32": 5, "f16": 3, "bf16": 3, "u8c": 3, "u4c": 2.5}[quantiser] * 96


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_values_that_only_a_lossless_codec_can_store(value):
    features = relu_features()
    features[7, 3] = value
    features[8, 3] = -value
    choice = choose_codec(features, 0.04)
    assert choice.codec in (("f32+zstd",) if not np.isfinite(value) else ("f32+zstd", "bf16+zstd"))


def test_a_large_shard_is_sampled_at_equal_distances():
    features = np.zeros((6000, 1000), np.float32)
    features[3000:] = np.random.default_rng(2).normal(size=1000)
    choice = choose_codec(features, 0.002)
    assert 64 <= choice.rows < 6000
    assert all(m.error < np.inf for m in choice.measured)


def test_an_error_is_relative_to_its_channel():
    x = np.array([[[0, 0], [100, 100]], [[1, 1], [300, 300]]], np.float32)  # tokens [2, 2, 2]: channels are the last
    assert relative_error(x, x) == 0
    other = x.copy()
    other[1, 1, 0] += 3
    assert relative_error(x, other) == pytest.approx(3 / 300)
    maps = x.reshape(2, 2, 2, 1)
    other = maps.copy()
    other[0, 0, 0, 0] += 0.25
    assert relative_error(maps, other) == pytest.approx(0.25)
    constant = np.full((3, 1), 8, np.float32)
    assert relative_error(constant, constant + 1) == pytest.approx(1 / 8)


def test_bounds_that_make_no_sense():
    assert check_max_error(["auto"], None) == check_max_error(["f16"], None) == 0.002
    assert check_max_error(["f16", "auto"], 0.25) == 0.25
    with pytest.raises(UsageError, match="give codec 'auto'"):
        check_max_error(["f16"], 0.1)
    for bound in (-1, 1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="expected a part"):
            check_max_error(["auto"], bound)


def test_auto_becomes_a_name():
    choice = choose_codec(relu_features(), 0.002)
    assert replace_auto(["auto", "f32", "u8c+zstd"], choice) == ("u8c+zstd", "f32")
    assert replace_auto(["f32"], None) == ("f32",)
    assert AUTO not in codec_names()
