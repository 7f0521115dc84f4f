"""Stores around stores: they keep the contract, count, slow down, and break in ways that retries survive."""

from __future__ import annotations

import pickle
import time

import pytest

from hapistore.errors import AlreadyExists, StoreError, TransientError, UsageError
from hapistore.stores import FolderStore, MemoryStore
from hapistore.stores.retrying import RetryOptions
from hapistore.stores.retrying_store import RetryingStore
from hapistore.stores.wrappers import CountingStore, FaultRates, FaultyStore, LinkStore
from hapistore.testing.store_contract import StoreContract

QUICK = RetryOptions(attempts=50, first_wait_s=0.001, longest_wait_s=0.01)


class TestCounting(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return CountingStore(FolderStore(tmp_path / "store"))


class TestLink(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return LinkStore(FolderStore(tmp_path / "store"), latency_s=1e-5, bytes_s=1e9)


class TestRetriesAroundFaults(StoreContract):
    """A fifth of the requests fail, and nobody notices."""

    @pytest.fixture(autouse=True)
    def quiet_throttle(self, monkeypatch):
        """Refusals slow the whole process down, which is tested elsewhere."""
        monkeypatch.setattr("hapistore.stores.throttle.Throttle.slow_down", lambda self, pause_s: None)

    @pytest.fixture
    def store(self, tmp_path):
        rates = FaultRates(refused=0.05, lost=0.05, broken=0.05, truncated=0.03, stalled=0.02, stall_s=0.001)
        return RetryingStore(FaultyStore(FolderStore(tmp_path / "store"), rates, seed=1), QUICK)


def test_requests_and_bytes_are_counted():
    store = CountingStore(MemoryStore())
    store.create("a", b"12345")
    store.get("a")
    store.get_ranges("a", [(0, 2), (3, 4)])
    with pytest.raises(StoreError):
        store.head("b")
    assert store.counts.requests == {"create": 1, "get": 1, "get_ranges": 1, "head": 1}
    assert (store.counts.sent_bytes, store.counts.received_bytes) == (5, 8)


def test_a_link_takes_its_time():
    store = LinkStore(MemoryStore(), latency_s=0.02, bytes_s=1e6)
    began = time.monotonic()
    store.create("a", bytes(50_000))
    store.get("a")
    assert time.monotonic() - began >= 0.14  # two latencies and twice 50 ms


def test_wrappers_pickle(tmp_path):
    store = CountingStore(LinkStore(FaultyStore(FolderStore(tmp_path), FaultRates(broken=1.0), seed=3), bytes_s=1e6))
    copy = pickle.loads(pickle.dumps(store))
    assert (copy.inner.bytes_s, copy.inner.inner.rates, copy.inner.inner.seed) == (1e6, FaultRates(broken=1.0), 3)
    with pytest.raises(TransientError):
        copy.get("a")


@pytest.mark.parametrize("way", ["refused", "lost", "broken", "truncated", "stalled"])
def test_every_way_to_fail_is_an_error_by_name(way):
    store = FaultyStore(MemoryStore(), FaultRates(**{way: 1.0}, stall_s=0.001))
    with pytest.raises(TransientError, match="on purpose"):
        store.put("a", b"x")
    with pytest.raises(StoreError, match=r"^a: writing failed 3 times in .* on purpose"):
        RetryingStore(store, RetryOptions(attempts=3, first_wait_s=0.0, longest_wait_s=0.0)).put("a", b"x")


def test_wrong_bytes_come_without_an_error():
    inner = MemoryStore()
    inner.create("a", bytes(100))
    got = bytes(FaultyStore(inner, FaultRates(wrong=1.0)).get("a"))
    assert sum(byte.bit_count() for byte in got) == 1


def test_the_same_seed_fails_alike():
    def outcomes(seed: int) -> list[bool]:
        store = FaultyStore(MemoryStore(), FaultRates.evenly(0.5), seed=seed)
        found = []
        for _ in range(50):
            try:
                store.put("a", b"x")
                found.append(True)
            except TransientError:
                found.append(False)
        return found

    assert outcomes(1) == outcomes(1) != outcomes(2)


@pytest.mark.parametrize("rates", [{"lost": -0.1}, {"lost": 0.6, "broken": 0.6}])
def test_rates_that_are_none(rates):
    with pytest.raises(UsageError):
        FaultRates(**rates)


class LosesAnswers(MemoryStore):
    """Carries every write out, and loses the first answer."""

    lost = False

    def create(self, name, data):
        super().create(name, data)
        self._lose()

    def delete(self, name):
        super().delete(name)
        self._lose()

    def _lose(self):
        if not self.lost:
            self.lost = True
            raise TransientError("the answer was lost", "nothing to check")


def test_a_creation_whose_answer_was_lost_has_succeeded():
    store = RetryingStore(LosesAnswers(), QUICK)
    store.create("a", b"mine")
    assert bytes(store.get("a")) == b"mine"


def test_somebody_elses_object_is_not_taken_for_ones_own():
    inner = LosesAnswers()
    store = RetryingStore(inner, QUICK)
    inner.put("a", b"theirs")
    with pytest.raises(AlreadyExists):
        store.create("a", b"mine")


@pytest.mark.parametrize("damaged", [1, 2, 3])
def test_a_creation_whose_answer_was_lost_is_read_back_over_a_link_that_changes_bytes(damaged):
    class ChangesBytes(LosesAnswers):
        reads = 0

        def get(self, name):
            self.reads += 1
            return memoryview(b"x" * self.reads) if self.reads <= damaged else super().get(name)

    inner = ChangesBytes()
    RetryingStore(inner, QUICK).create("a", b"mine")
    assert inner.reads == damaged + 1


def test_somebody_elses_object_is_found_out_when_ones_own_request_broke_off():
    class ComesFirst(MemoryStore):
        def create(self, name, data):
            if not list(self.list()):
                super().create(name, b"theirs")
                raise TransientError("the connection broke off", "nothing to check")
            super().create(name, data)

    inner = ComesFirst()
    with pytest.raises(AlreadyExists):
        RetryingStore(inner, QUICK).create("a", b"mine")
    assert bytes(inner.get("a")) == b"theirs"


def test_a_deletion_whose_answer_was_lost_has_succeeded():
    inner = LosesAnswers()
    inner.put("a", b"x")
    RetryingStore(inner, QUICK).delete("a")
    assert list(inner.list()) == []


class BreaksOff(MemoryStore):
    """Every listing breaks off behind so many names."""

    names, listings = 70, 0

    def list(self, prefix="", *, after=""):
        self.listings += 1
        for number, info in enumerate(super().list(prefix, after=after)):
            if number == self.names:
                raise TransientError("the connection broke off", "nothing to check")
            yield info


def test_a_listing_goes_on_where_it_broke_off(monkeypatch):
    monkeypatch.setattr("hapistore.stores.retrying_store._PAGE", 50)
    inner = BreaksOff()
    names = sorted(f"a/{number}" for number in range(500))
    for name in names:
        inner.create(name, b"x")
    assert [info.name for info in RetryingStore(inner, QUICK).list("a/")] == names
    assert inner.listings == 10  # each goes on behind the fifty names that came whole
    inner.names = 49
    with pytest.raises(StoreError, match="listing failed 3 times"):
        list(RetryingStore(inner, RetryOptions(attempts=3, first_wait_s=0.0)).list())
