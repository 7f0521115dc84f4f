"""Several processes on one cache: who fetches, whose leases count, what a child inherits."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from hapistore.cache import ShardCache

from .conftest import name_of


@pytest.fixture(scope="module")
def context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hapistore.cache", "numpy"])
    return context


@pytest.fixture
def folder(tmp_path, shards) -> Path:
    """Shards as files, and room for notes of who fetched what."""
    folder = tmp_path / "source"
    folder.mkdir()
    for number, shard in enumerate(shards):
        (folder / str(number)).write_bytes(shard)
    return folder


def fetcher(folder: Path, number: int, seconds: float = 0):
    """Fetches slowly, and leaves a note of it."""

    def fetch() -> bytes:
        (folder / f"fetched-{number}-{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(seconds)
        return (folder / str(number)).read_bytes()

    return fetch


def fetches(folder: Path, number: int) -> int:
    return len(list(folder.glob(f"fetched-{number}-*")))


def lease_once(path: Path, folder: Path, number: int, seconds: float, gate=None) -> None:
    with ShardCache(path) as cache:
        if gate is not None:
            gate.wait()
        with cache.lease(name_of(number), fetcher(folder, number, seconds)) as leased:
            assert leased.reader.header.images == f"{number:064x}"


def lease_for_ever(path: Path, folder: Path, numbers: list[int], ready) -> None:
    cache = ShardCache(path)
    leases = [cache.lease(name_of(number), fetcher(folder, number)) for number in numbers]
    _readers = [lease.reader for lease in leases]
    cache.announce([name_of(number) for number in range(24)])
    ready.set()
    time.sleep(600)


def finish(processes) -> None:
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def test_eight_processes_fetch_a_shard_once(cache, context, folder):
    gate = context.Barrier(8)
    arguments = (cache.path, folder, 0, 0.3, gate)
    processes = [context.Process(target=lease_once, args=arguments) for _ in range(8)]
    for process in processes:
        process.start()
    finish(processes)
    assert fetches(folder, 0) == 1
    assert (cache.stats()["hits"], cache.stats()["misses"]) == (7, 1)


def test_who_waits_takes_over_when_the_fetcher_is_killed(cache, context, folder):
    first = context.Process(target=lease_once, args=(cache.path, folder, 0, 600))
    first.start()
    while not fetches(folder, 0):
        time.sleep(0.01)
    others = [context.Process(target=lease_once, args=(cache.path, folder, 0, 0.3)) for _ in range(4)]
    for process in others:
        process.start()
    while cache.stats()["processes"].__len__() < 5:
        time.sleep(0.01)
    first.kill()
    finish(others)
    assert fetches(folder, 0) == 2
    assert cache.usage().reserved_bytes == 0


def test_what_a_killed_process_held_is_freed(cache, context, folder):
    ready = context.Event()
    process = context.Process(target=lease_for_ever, args=(cache.path, folder, [0, 1, 2, 3], ready))
    process.start()
    assert ready.wait(60)
    listed = {shard.name: shard for shard in cache.ls()}
    assert [info.pid for info in listed[name_of(0).name].leased_by] == [process.pid]
    assert cache.evict()[0] == 0
    assert cache.stats()["orders_announced"] == 1
    process.kill()
    process.join()
    assert {finding.code for finding in cache.check()} == {"left-over"}
    for number in range(10, 14):
        with cache.lease(name_of(number), fetcher(folder, number)) as leased:
            assert leased.cached
    assert cache.check() == []
    assert (cache.stats()["orders_announced"], len(cache.stats()["processes"])) == (0, 1)


def read_at_random(path: Path, folder: Path, seed: int) -> None:
    with ShardCache(path) as cache:
        for step in range(40):
            number = (seed * 7 + step * (seed + 1)) % 24
            with cache.lease(name_of(number), fetcher(folder, number), decoded=step % 3 == 0) as leased:
                assert leased.reader.header.images == f"{number:064x}"


def test_eight_downloading_processes_keep_the_capacity(mount_disk, context, folder, capacity):
    disk = mount_disk(4 * capacity)
    with ShardCache(disk.path, capacity_bytes=capacity, reserve_bytes=0) as cache:
        processes = [context.Process(target=read_at_random, args=(cache.path, folder, seed)) for seed in range(8)]
        for process in processes:
            process.start()
        most, samples = 0, 0
        while any(process.is_alive() for process in processes):
            most, samples = max(most, disk.taken_bytes()), samples + 1
            time.sleep(0.0002)
        finish(processes)
        assert samples > 100 and capacity // 2 < most <= capacity
        assert cache.stats()["evicted"] > 0
        assert cache.check() == []


def test_a_child_that_is_forked_has_leases_of_its_own(cache, folder):
    held = cache.lease(name_of(0), fetcher(folder, 0))
    images = held.reader.header.images
    child = os.fork()
    if not child:  # the parent's lease is the parent's, and a new one is the child's
        with cache.lease(name_of(0), fetcher(folder, 0)) as leased:
            found = leased.reader.header.images
            held.close()  # is none of the child's
            still = cache.evict()[0] == 0
        mine = [info.pid for shard in cache.ls() for info in shard.leased_by]
        os._exit(0 if still and (found, mine) == (images, [os.getppid()]) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.evict()[0] == 0
    held.close()
    assert fetches(folder, 0) == 1
    assert cache.evict()[0] == 1


def test_a_child_does_not_keep_its_killed_parent_alive(cache, context, folder, tmp_path):
    ready = context.Event()
    process = context.Process(target=fork_and_lease, args=(cache.path, folder, tmp_path / "child", ready))
    process.start()
    assert ready.wait(60)
    assert cache.evict()[0] == 0
    process.kill()
    process.join()
    child = int((tmp_path / "child").read_text())
    try:
        os.kill(child, 0)
        assert cache.evict()[0] == 1
    finally:
        os.kill(child, signal.SIGKILL)


def fork_and_lease(path: Path, folder: Path, note: Path, ready) -> None:
    cache = ShardCache(path)
    leased = cache.lease(name_of(0), fetcher(folder, 0))
    child = os.fork()
    if not child:
        time.sleep(600)
    note.write_text(str(child))
    assert leased.cached
    ready.set()
    time.sleep(600)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_cache_goes_along_to_workers(cache, folder, method):
    with cache.lease(name_of(0), fetcher(folder, 0)):
        process = multiprocessing.get_context(method).Process(target=use_given, args=(cache, folder))
        process.start()
        finish([process])
    assert (fetches(folder, 0), fetches(folder, 1)) == (1, 1)


def use_given(cache: ShardCache, folder: Path) -> None:
    for number in (0, 1):
        with cache.lease(name_of(number), fetcher(folder, number)) as leased:
            assert leased.reader.header.images == f"{number:064x}"
    cache.close()
