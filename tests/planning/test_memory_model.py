"""Fitted lines against known ones, with the noise that allocators and first runs make."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore.planning import MemoryModel, ThroughputCurve

MB = 1 << 20


def line(fixed: int, image: int):
    return lambda batch: fixed + image * batch


def test_two_probes_give_the_line():
    model = MemoryModel.fit([(1, 56 * MB), (8, 98 * MB)])
    assert model.bytes_per_image == 6 * MB
    assert model.fixed_bytes == 50 * MB
    assert model.expected_bytes(100) == 650 * MB


def test_one_probe_never_promises_too_much():
    model = MemoryModel.fit([(2, 60 * MB)])
    assert model.upper_bytes(2) == 60 * MB
    assert model.upper_bytes(4) == 180 * MB  # whatever of the 60 stands still, and another image's in what is idle


def test_no_probe_is_an_error():
    with pytest.raises(ValueError, match="at least one probe"):
        MemoryModel.fit([])


@pytest.mark.parametrize("extra", [0, 40 * MB, 400 * MB])
def test_a_first_run_that_pays_more_moves_the_line_nowhere(extra):
    truth = line(50 * MB, 6 * MB)
    model = MemoryModel.fit([(1, truth(1) + extra), (1, truth(1)), (8, truth(8)), (8, truth(8))])
    assert model.bytes_per_image == 6 * MB
    assert model.upper_bytes(1) == truth(1) + extra


@settings(max_examples=200)
@given(
    fixed=st.integers(0, 2000),
    image=st.integers(1, 100),
    first=st.integers(0, 300),
    seed=st.integers(0, 1 << 20),
    batch=st.integers(1, 256),
)
def test_the_bound_holds_within_what_allocators_round(fixed, image, first, seed, batch):
    """Peaks rounded up to 4 MiB, the first run dearer: above the truth up to 32 times the largest probe."""
    rounding = random.Random(seed)
    truth = line(fixed * MB, image * MB)
    probes = [(size, truth(size) + rounding.randrange(4 * MB)) for size in (1, 1, 8, 8)]
    probes[0] = (1, probes[0][1] + first * MB)
    model = MemoryModel.fit(probes)
    assert model.upper_bytes(batch) >= truth(batch)
    # and not absurdly above it: the first run's, and what rounding hides from a slope over seven images
    hidden = 2 * max(4, first / 2) / 7
    assert model.upper_bytes(batch) <= truth(batch) + (first + 30) * MB + batch * (hidden + 0.16 * image + 1.2) * MB


runs = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 1 << 36)), min_size=1, max_size=31)


@given(runs)
def test_the_bound_is_never_below_what_was_seen(seen):
    model = MemoryModel.fit(seen)
    for batch, peak in seen:
        assert model.upper_bytes(batch) >= peak * (1 - 1e-12)


@given(runs, st.lists(st.integers(1, 1000), min_size=3, max_size=3, unique=True))
def test_the_bound_rises_and_is_convex(seen, sizes):
    model = MemoryModel.fit(seen)
    low, middle, high = sorted(sizes)
    a, b, c = map(model.upper_bytes, (low, middle, high))
    slack = 1e-9 * max(c, 1)
    assert a <= b + slack and b <= c + slack
    assert (b - a) * (high - middle) <= (c - b) * (middle - low) + slack * high


def test_a_lone_high_peak_is_forgotten_after_64_runs_and_not_within_32():
    model = MemoryModel.fit([(1, 56 * MB), (8, 98 * MB)]).observe(8, 500 * MB)
    for _ in range(32):
        model = model.observe(8, 98 * MB)
        assert model.upper_bytes(8) >= 500 * MB
    for _ in range(32):
        model = model.observe(8, 98 * MB)
    assert model.upper_bytes(8) == 98 * MB


def test_running_out_of_memory_raises_everything_and_is_forgotten_too():
    model = MemoryModel.fit([(1, 56 * MB), (8, 98 * MB)])
    raised = model.out_of_memory()
    assert raised.upper_bytes(8) == model.upper_bytes(8) * 1.25
    for _ in range(32 * 8):
        raised = raised.observe(8, 98 * MB)
    assert raised.upper_bytes(8) == pytest.approx(98 * MB, rel=0.001)


def test_more_than_32_sizes_are_thinned_and_still_bounded():
    model = MemoryModel.fit([(size, (50 + 6 * size) * MB) for size in range(1, 32)])
    for size in range(32, 200):
        model = model.observe(size, (50 + 6 * size) * MB)
        assert len(model.seen) <= 32
        assert model.upper_bytes(size) >= (50 + 6 * size) * MB
    assert model.bytes_per_image == 6 * MB


@given(runs, st.integers(1, 1 << 34), st.integers(1, 500))
def test_the_largest_within_a_budget_is_the_largest(seen, budget, most):
    model = MemoryModel.fit(seen)
    best = model.largest_within(budget, most)
    assert 0 <= best <= most
    assert best == 0 or model.upper_bytes(best) <= budget
    assert best == most or model.upper_bytes(best + 1) > budget


@given(runs)
def test_json_gives_the_same_model(seen):
    model = MemoryModel.fit(seen)
    assert MemoryModel.from_json(json.loads(json.dumps(model.to_json()))) == model


@pytest.mark.parametrize(
    "value",
    [
        {}, {"seen": [], "runs": 0, "raised": 1.0}, {"seen": [[0, 1, 1, 0]], "runs": 0, "raised": 1.0},
        {"seen": [[2, 1, 1, 0], [1, 1, 1, 0]], "runs": 0, "raised": 1.0},
        {"seen": [[1, 5, 1, 0]], "runs": 0, "raised": 1.0}, {"seen": [[1, -5, 1, 0]], "runs": 0, "raised": 1.0},
        {"seen": [[1, 1, 1, 0]], "runs": 0, "raised": float("nan")},
        {"seen": [[1, 1, 1, 0]], "runs": 99, "raised": 1.0},
        {"seen": [[1, 1, True, 0]], "runs": 0, "raised": 1.0}, {"seen": 7, "runs": 0, "raised": 1.0},
        {"seen": [[1, 1 << 60, 1 << 61, 0]], "runs": 0, "raised": 1.0}, {"seen": [[1]], "runs": 0, "raised": 1.0},
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused(value):
    with pytest.raises(ValueError, match="no memory model"):
        MemoryModel.from_json(value)


def test_a_curve_never_falls_and_its_knee_is_the_smallest_near_the_best():
    curve = ThroughputCurve()
    for batch, rate in ((1, 20), (8, 90), (16, 70), (32, 99), (64, 100), (128, 60)):
        curve = curve.observe(batch, batch / rate)
    assert [round(rate) for _, rate in curve.smoothed] == [20, 90, 90, 99, 100, 100]
    assert curve.knee() == 32
    assert curve.rate(4) == pytest.approx(20 + 70 * 3 / 7)
    assert curve.rate(48) == pytest.approx(99.5)
    assert curve.rate(1000) == pytest.approx(100)
    assert ThroughputCurve.from_json(json.loads(json.dumps(curve.to_json()))) == curve


def test_a_slow_run_of_a_size_does_not_count():
    curve = ThroughputCurve().observe(8, 0.1).observe(8, 5.0)
    assert curve.rate(8) == pytest.approx(80)


@pytest.mark.parametrize("rates", [[[2, 1.0], [1, 1.0]], [[0, 1.0]], [[1, float("nan")]], [[1]], 5, [["1", 1.0]]])
def test_what_is_no_curve_is_refused(rates):
    with pytest.raises(ValueError):
        ThroughputCurve.from_json({"rates": rates})
