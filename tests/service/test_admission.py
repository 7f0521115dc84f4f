"""Admission: no limit is passed, no count lost, nobody starves, nothing hangs."""

from __future__ import annotations

import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from hapistore.errors import Busy, TransientError, UsageError
from hapistore.service.tenancy.admission import Admission, TenantLoad
from hapistore.service.tenancy.tenants import Tenant


def tenant(name: str = "alice", **limits) -> Tenant:
    return Tenant(name=name, **limits)


class Asker(threading.Thread):
    """Holds bytes in a thread until it is told to let go."""

    def __init__(self, admission: Admission, who: Tenant, size: int, order: list[str]) -> None:
        super().__init__(daemon=True)
        self.admission, self.who, self.size, self.order = admission, who, size, order
        self.got, self.go = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with self.admission.hold(self.who, self.size):
            self.order.append(self.who.name)
            self.got.set()
            self.go.wait(60)

    def end(self) -> None:
        self.go.set()
        self.join(60)


def wait_for_waiting(admission: Admission, count: int) -> None:
    pause = threading.Event()
    while sum(one.waiting for one in admission.snapshot().values()) != count:
        pause.wait(0.001)


class TestRequests:
    def test_a_tenant_has_as_many_as_it_may(self):
        admission, alice, bob = Admission(), tenant(max_requests=2), tenant("bob", max_requests=2)
        with admission.request(alice), admission.request(alice):
            with pytest.raises(Busy, match="alice has 2 requests") as caught, admission.request(alice):
                pass
            with admission.request(bob):
                assert (admission.in_flight("alice"), admission.in_flight("bob")) == (2, 1)
        assert isinstance(caught.value, TransientError) and caught.value.throttled and caught.value.retry_after_s == 1.0
        assert admission.refused("alice") == 1 and admission.in_flight("alice") == 0 and admission.refused("eve") == 0
        with admission.request(alice):
            pass

    def test_all_of_them_likewise(self):
        admission = Admission(max_requests=2)
        with ExitStack() as stack:
            for name in ("a", "b"):
                stack.enter_context(admission.request(tenant(name)))
            with pytest.raises(Busy, match="the service has 2") as caught:
                stack.enter_context(admission.request(tenant("c")))
        assert "a has" not in str(caught.value) and admission.refused("c") == 1

    def test_one_that_fails_counts_no_more(self):
        admission = Admission()
        with pytest.raises(KeyError), admission.request(tenant()):
            raise KeyError
        assert admission.in_flight("alice") == 0

    def test_the_error_crosses_processes(self):
        error = pickle.loads(pickle.dumps(Busy("much", "wait", retry_after_s=2.0)))
        assert (type(error), error.retry_after_s, error.throttled) == (Busy, 2.0, True)


class TestMemory:
    def test_who_waits_gets_it_when_it_is_free(self):
        admission, order = Admission(max_bytes=100), []
        first = Asker(admission, tenant("a"), 80, order)
        first.got.wait(60)
        second = Asker(admission, tenant("b"), 30, order)
        wait_for_waiting(admission, 1)
        assert not second.got.is_set() and admission.snapshot()["b"].bytes == 0
        first.end()
        assert second.got.wait(60)
        second.end()
        assert admission.snapshot()["b"] == TenantLoad(requests=0, waiting=0, bytes=0, refused=0)

    def test_waiting_ends(self):
        admission = Admission(max_bytes=100, wait_s=0.05)
        with admission.hold(tenant("a"), 80):
            with pytest.raises(Busy, match="no 30 B of memory"), admission.hold(tenant("b"), 30):
                pass
            with admission.hold(tenant("b"), 20):  # whoever gave up does not stand in the way
                assert admission.snapshot()["b"] == TenantLoad(requests=0, waiting=0, bytes=20, refused=1)

    def test_more_than_a_tenants_limit_goes_alone(self):
        admission, big = Admission(max_bytes=100, wait_s=0.05), tenant(max_bytes=10)
        with admission.hold(big, 50), pytest.raises(Busy), admission.hold(big, 1):
            pass
        with admission.hold(big, 5), pytest.raises(Busy), admission.hold(big, 50):
            pass

    def test_more_than_there_is_at_all_is_refused_clearly(self):
        with pytest.raises(UsageError, match="101 B of memory at once, the service has 100 B"):
            Admission(max_bytes=100).hold(tenant(), 101).__enter__()

    def test_one_tenants_limit_stops_no_other(self):
        admission, order = Admission(max_bytes=100), []
        first = Asker(admission, tenant("a", max_bytes=10), 10, order)
        first.got.wait(60)
        behind = Asker(admission, tenant("a", max_bytes=10), 10, order)
        wait_for_waiting(admission, 1)
        with admission.hold(tenant("b"), 50):
            assert not behind.got.is_set()
        first.end()
        assert behind.got.wait(60)
        behind.end()

    def test_a_large_one_is_not_passed_by(self):
        admission, order = Admission(max_bytes=100), []
        first = Asker(admission, tenant("a"), 50, order)
        first.got.wait(60)
        large = Asker(admission, tenant("b"), 90, order)
        wait_for_waiting(admission, 1)
        small = Asker(admission, tenant("c"), 20, order)
        wait_for_waiting(admission, 2)
        first.end()
        assert large.got.wait(60)
        assert not small.got.is_set()
        large.end()
        small.end()
        assert order == ["a", "b", "c"]

    def test_turns_follow_weights(self):
        admission, order = Admission(max_bytes=10), []
        gate = Asker(admission, tenant("gate"), 10, order)
        gate.got.wait(60)
        askers, all_of_them = [], [tenant("light", weight=1.0)] * 4 + [tenant("heavy", weight=4.0)] * 8
        for count, who in enumerate(all_of_them, 1):
            askers.append(Asker(admission, who, 10, order))
            wait_for_waiting(admission, count)
        for asker in askers:
            asker.go.set()
        gate.end()
        for asker in askers:
            asker.join(60)
        assert sorted(order[1:]) == ["heavy"] * 8 + ["light"] * 4
        assert order[1:8].count("heavy") >= 5  # a light one for four heavy ones, and one that came first

    def test_threads_lose_no_count(self):
        admission = Admission(max_requests=24, max_bytes=1000, wait_s=60.0)
        tenants = [tenant(f"t{i}", max_requests=6, max_bytes=300, weight=1.0 + i) for i in range(5)]
        refused, held, most = [0] * len(tenants), [0] * len(tenants), 0
        lock = threading.Lock()

        def work(seed: int) -> int:
            nonlocal most
            dice, done = random.Random(seed), 0
            for _ in range(150):
                which = dice.randrange(len(tenants))
                size = dice.choice([0, 1, 50, 120, 299, 301, 700, 1000])
                try:
                    with ExitStack() as stack:
                        stack.enter_context(admission.request(tenants[which]))
                        assert 1 <= admission.in_flight(tenants[which].name) <= 6
                        stack.enter_context(admission.hold(tenants[which], size))
                        with lock:
                            held[which] += size
                            most = max(most, sum(held))
                            alone = held[which] == size
                            assert held[which] <= 300 or alone
                        with lock:
                            held[which] -= size
                    done += 1
                except Busy:
                    with lock:
                        refused[which] += 1
            return done

        with ThreadPoolExecutor(16) as pool:
            done = sum(pool.map(work, range(16)))
        assert done + sum(refused) == 16 * 150 and 0 < most <= 1000
        for one, count in zip(tenants, refused, strict=True):
            assert admission.snapshot()[one.name] == TenantLoad(requests=0, waiting=0, bytes=0, refused=count)
