"""What is held of a budget, in any order of events; and from threads."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hapistore.extraction.worker.residency import Residency

JOBS = st.sampled_from("abcd")
KEYS = st.sampled_from("xyz")


class Thing:
    """Something loaded."""

    def __init__(self, number: int) -> None:
        self.number, self.open = number, True

    def close(self) -> None:
        assert self.open, "it was closed twice"
        self.open = False


class AnyEvents(RuleBasedStateMachine):
    """Against a plain account of the same."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, int] = {}
        self.warm: list[tuple[str, Thing, int]] = []
        self.made = 0

    @initialize(budget=st.integers(0, 100))
    def begin(self, budget):
        self.budget = self.most = budget
        self.residency = Residency(budget)

    def evict(self, budget: int) -> None:
        while self.warm and sum(self.held.values()) + sum(size for *_, size in self.warm) > budget:
            _, thing, _ = self.warm.pop(0)
            assert not thing.open

    @rule(job=JOBS, count=st.integers(0, 60))
    def hold(self, job, count):
        fits = sum(self.held.values()) - self.held.get(job, 0) + count <= self.budget
        assert self.residency.hold(job, count) == (fits or count <= self.held.get(job, 0))
        if fits or count <= self.held.get(job, 0):
            grown = count > self.held.get(job, 0)
            self.held[job] = count
            if grown:
                self.evict(self.budget)

    @rule(job=JOBS)
    def release(self, job):
        self.residency.release(job)
        self.held.pop(job, None)

    @rule(job=JOBS, key=KEYS, count=st.integers(0, 60))
    def keep(self, job, key, count):
        self.made += 1
        thing = Thing(self.made)
        self.residency.keep(job, key, thing, count)
        self.held.pop(job, None)
        self.warm.append((key, thing, count))
        self.evict(self.budget)

    @rule(key=KEYS)
    def take(self, key):
        found = self.residency.take(key)
        same = [place for place, (other, *_) in enumerate(self.warm) if other == key]
        if not same:
            assert found is None
            return
        _, thing, _ = self.warm.pop(same[-1])
        assert found is thing and thing.open

    @rule(budget=st.integers(0, 100))
    def resize(self, budget):
        self.residency.resize(budget)
        self.budget, self.most = budget, max(self.most, budget)
        self.evict(budget)

    @invariant()
    def nothing_is_beyond_the_budget_but_what_was_held_before(self):
        if not hasattr(self, "residency"):
            return
        warm = sum(size for *_, size in self.warm)
        assert self.residency.taken_bytes == sum(self.held.values()) + warm
        assert sum(self.held.values()) <= self.most
        assert not warm or self.residency.taken_bytes <= self.budget
        assert all(thing.open for _, thing, _ in self.warm)

    def teardown(self):
        if hasattr(self, "residency"):
            self.residency.close()
            assert not any(thing.open for _, thing, _ in self.warm)


TestAnyEvents = AnyEvents.TestCase
TestAnyEvents.settings = settings(max_examples=60, stateful_step_count=30)


def test_who_waits_gets_what_is_given_back():
    residency = Residency(10)
    assert residency.hold("a", 8)
    got = threading.Event()

    def wait():
        residency.hold("b", 6, check=lambda: None)
        got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not residency.wanted:
        time.sleep(0.001)
    assert not residency.hold("a", 12)
    assert not got.is_set()
    residency.hold("a", 4)
    thread.join(20)
    assert got.is_set() and residency.taken_bytes == 10


def test_a_wait_ends_by_what_its_check_raises():
    residency = Residency(10)
    residency.hold("a", 8)

    def give_up():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        residency.hold("b", 6, check=give_up)
    assert residency.taken_bytes == 8
