"""What is opened once for all, ahead of its use, within a memory budget, and over forks."""

from __future__ import annotations

import logging
import os
import threading
import time

import numpy as np
import pytest

from hapistore.errors import NotFound
from hapistore.read import FeatureReader, ReadOptions
from hapistore.read import epochs as epochs_module
from hapistore.read.residents import Residents


def make(sizes, memory_bytes, open_one=lambda number: f"thing {number}", **more) -> Residents:
    return Residents(open_one, np.array(sizes), memory_bytes=memory_bytes, **more)


def test_many_threads_open_it_once():
    opened = []

    def open_one(number):
        opened.append(number)
        time.sleep(0.05)
        return number * 10

    things = make([1] * 4, 100, open_one)
    found = []
    threads = [threading.Thread(target=lambda n=n: found.append(things.get(n % 4))) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [0, 1, 2, 3]
    assert sorted(found) == [0] * 4 + [10] * 4 + [20] * 4 + [30] * 4
    assert things.all_open
    things.close()


def test_the_least_recently_used_goes_first():
    here: set[int] = set()
    things = make([40] * 4, 100, on_open=lambda number, _: here.add(number), on_evict=here.discard)
    for number in (0, 1, 0, 2):
        things.get(number)
    assert here == {0, 2}
    things.get(3)
    assert here == {2, 3}
    assert not things.all_open
    things.close()


def test_one_is_kept_however_large_it_is():
    things = make([1000, 1000], 10)
    assert things.get(0) == "thing 0"
    assert things.get(1) == "thing 1"
    things.close()


def test_what_failed_is_tried_again():
    attempts = []

    def open_one(number):
        attempts.append(number)
        if len(attempts) < 3:
            raise NotFound("features/x")
        return "there"

    things = make([1], 10, open_one)
    for _ in range(2):
        with pytest.raises(NotFound):
            things.get(0)
    assert things.get(0) == "there"
    assert not things.opening()
    things.close()


def test_prefetching_stops_where_memory_does():
    opened = []
    things = make([40] * 10, 100, lambda number: opened.append(number) or number)
    things.prefetch(np.array([5, 5, 6, 7, 8]))
    things.close()
    assert set(opened) <= {5, 6}


def test_prefetching_goes_on_when_memory_is_full_of_what_was_read():
    here: set[int] = set()
    things = make([10] * 20, 100, on_open=lambda number, _: here.add(number), on_evict=here.discard)
    for number in range(10):
        things.get(number)
    things.prefetch(np.array([9, 8, 10, 11, 12]))
    things.close()
    assert {8, 9, 10, 11, 12} <= here
    assert len(here) == 10


def test_prefetching_evicts_nothing_for_more_than_fits():
    here: set[int] = set()
    things = make([10] * 20, 100, on_open=lambda number, _: here.add(number), on_evict=here.discard)
    for number in range(10):
        things.get(number)
    things.prefetch(np.arange(4, 20))
    things.close()
    assert here == set(range(10))


def test_groups_fit_into_memory():
    things = make([40, 40, 40, 200, 10], 100)
    assert list(things.groups(np.arange(5))) == [[0, 1], [2], [3], [4]]
    assert list(things.groups(np.arange(0))) == []


def test_a_child_process_begins_its_own_threads():
    things = make([1] * 4, 100)
    things.get(0)
    with things.locked():  # a thread of the parent's holds it while another forks
        child = os.fork()
        if child == 0:
            ok = things.get(0) == "thing 0" and things.get(1) == "thing 1"
            os._exit(0 if ok else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert things.get(2) == "thing 2"
    things.close()


def test_a_reader_reads_ahead_of_who_waits(make_view):
    """Eight shards are fetched at once, each of them slow."""
    view = make_view(shards=(5,) * 16, dropped=[False] * 80)
    get, at_once, most = view.store.get, [0], [0]
    lock = threading.Lock()

    def slow(name):
        if not name.startswith("features/"):
            return get(name)
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1
        return get(name)

    view.store.get = slow
    reader = FeatureReader(view, ReadOptions(batch_size=5, shuffle="shard"))
    assert sorted(row for batch in reader.epoch(0) for row in batch.rows.tolist()) == list(range(80))
    assert most[0] > 2
    stats = reader.stats()
    assert stats.shards == 16
    assert stats.rows == 80
    assert stats.batches == 16
    assert stats.seconds["fetch"] >= 16 * 0.02
    assert stats.seconds["wait"] > 0
    reader.close()


def test_a_stall_is_logged_with_shard_source_and_time(make_view, caplog, monkeypatch):
    view = make_view(shards=(5, 5), dropped=[False] * 10)
    get, go_on = view.store.get, threading.Event()
    view.store.get = lambda name: (
        ((go_on.wait(10) if name.startswith("features/") else None) and get(name)) or get(name)
    )
    monkeypatch.setattr(epochs_module, "_STALL_S", 0.1)
    reader = FeatureReader(view, ReadOptions(batch_size=5))
    with caplog.at_level(logging.WARNING):
        timer = threading.Timer(0.5, go_on.set)
        timer.start()
        list(reader.epoch(0))
    reader.close()
    stalls = [record.getMessage() for record in caplog.records]
    assert stalls
    assert "waited 0 s so far for features/" in stalls[0]
    assert view.store.url in stalls[0]
