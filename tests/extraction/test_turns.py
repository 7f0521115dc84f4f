"""Forward passes in turn: never more at once, shares by weight, nobody forgotten."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore.extraction.worker.turns import Turns


@settings(max_examples=20)
@given(st.integers(1, 3), st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 5)), min_size=1, max_size=12))
def test_everybody_passes_and_never_more_at_once(at_once, jobs):
    turns = Turns(at_once)
    lock = threading.Lock()
    inside, most, passed = 0, 0, Counter()

    def work(number: int, tenant: str, seconds: float) -> None:
        nonlocal inside, most
        for _ in range(5):
            with turns.turn(tenant, weight=1.0, seconds=seconds):
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1
                    passed[number] += 1

    threads = [threading.Thread(target=work, args=(number, *job)) for number, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert passed == dict.fromkeys(range(len(jobs)), 5)
    assert 1 <= most <= at_once


@settings(max_examples=15)
@given(st.integers(1, 5))
def test_shares_of_who_waits_are_by_weight(weight):
    turns = Turns(1)
    order: list[str] = []

    def work(tenant: str, share: float) -> None:
        with turns.turn(tenant, weight=share, seconds=1.0):
            order.append(tenant)

    requests = [threading.Thread(target=work, args=pair) for _ in range(12) for pair in (("a", weight), ("b", 1))]
    with turns.turn("c", weight=1.0, seconds=1.0):
        for thread in requests:
            thread.start()
        while len(turns._waiting) < len(requests):
            time.sleep(0.001)
    for thread in requests:
        thread.join(60)
    assert Counter(order) == {"a": 12, "b": 12}
    while_both_wait = min(len(order) - order[::-1].index(tenant) for tenant in "ab")
    for count in range(1, while_both_wait):
        done = Counter(order[:count])
        assert abs(done["a"] / weight - done["b"]) <= 1 + 1 / weight + 1e-9


def test_a_wait_ends_by_what_its_check_raises():
    turns = Turns(1)

    def give_up():
        raise InterruptedError

    refused = pytest.raises(InterruptedError)
    with turns.turn("a", weight=1.0, seconds=1.0), refused, turns.turn("b", weight=1.0, seconds=1.0, check=give_up):
        raise AssertionError("two at once")
    with turns.turn("b", weight=1.0, seconds=1.0):
        pass
