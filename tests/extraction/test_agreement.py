"""Features agree within a precision, or they do not, an image at a time."""

from __future__ import annotations

import numpy as np
import pytest

from hapistore.extraction.executors.agreement import compare


def features(rows=4, width=4000):
    return np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)


def test_equal_features_agree_in_every_precision():
    found = compare(features(), features())
    assert (found.of_largest, found.cosine) == (0, pytest.approx(1))
    assert found.within("f32") and found.within("bf16")


@pytest.mark.parametrize(("precision", "bound"), [("f32", 1e-4), ("bf16", 0.5)])
def test_one_value_of_one_image_decides(precision, bound):
    exact = features()
    exact[2] *= 1e-3  # its own largest value counts, not that of its batch
    for share, within in ((0.9, True), (1.1, False)):
        found = exact.copy()
        found[2, 7] += share * bound * np.abs(exact[2]).max()
        assert compare(found, exact).within(precision) is within


def test_bf16_wants_the_direction_too():
    exact = features()
    noise = np.random.default_rng(1).normal(size=exact.shape).astype(np.float32)
    exact[:, 0] = 30
    near, far = exact + 0.2 * noise, exact + 0.6 * noise
    assert compare(near, exact).within("bf16") and not compare(near, exact).within("f32")
    assert compare(far, exact).of_largest < 0.5
    assert not compare(far, exact).within("bf16")


def test_what_cannot_be_compared_does_not_agree():
    exact = features()
    broken = exact.copy()
    broken[1, 1] = np.nan
    for found, expected in ((broken, exact), (exact, broken), (broken, broken), (exact[:3], exact), (exact.T, exact)):
        assert not compare(found, expected).within("f32") and not compare(found, expected).within("bf16")


def test_features_that_are_all_zero_agree_with_themselves_only():
    exact = features()
    exact[0] = 0
    assert compare(exact, exact).within("bf16")
    other = exact.copy()
    other[0, 0] = 0.5
    assert not compare(other, exact).within("bf16") and not compare(exact, other).within("bf16")


@pytest.mark.parametrize("shape", [(2, 1), (2, 3, 4), (2, 3, 4, 5)])
def test_any_shape(shape):
    exact = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert compare(exact, exact).within("f32") and not compare(-exact, exact).within("bf16")
