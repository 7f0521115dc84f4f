"""The throttle backs off, keeps its distance, and recovers."""

from __future__ import annotations

import pytest

from hapistore.stores.throttle import Throttle


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def throttle(time) -> Throttle:
    return Throttle(clock=lambda: time.now, sleep=time.sleep)


def test_it_costs_nothing_until_a_store_complains(throttle, time):
    for _ in range(1000):
        throttle.wait()
        throttle.speed_up()
    assert time.now == 100


def test_a_complaint_pauses_everybody_and_spaces_them_out(throttle, time):
    throttle.slow_down(3.0)
    starts = []
    for _ in range(4):
        throttle.wait()
        starts.append(time.now)
    assert starts[0] == pytest.approx(103)
    gaps = [b - a for a, b in zip(starts, starts[1:], strict=False)]
    assert gaps == pytest.approx([throttle.gap_s] * 3)
    assert throttle.gap_s > 0


def test_complaints_double_the_distance_up_to_a_limit(throttle):
    gaps = []
    for _ in range(20):
        throttle.slow_down(0)
        gaps.append(throttle.gap_s)
    assert gaps[1] == 2 * gaps[0]
    assert gaps[-1] == gaps[-2] == 2.0


def test_it_recovers_when_requests_succeed(throttle):
    for _ in range(10):
        throttle.slow_down(0)
    for _ in range(100):
        throttle.speed_up()
    assert throttle.gap_s == 0
