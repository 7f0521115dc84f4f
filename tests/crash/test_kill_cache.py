"""kill -9 at random moments of four processes on one cache: it is sound after each, and never larger than it may be.

What a killed process held counts as left over until somebody next needs room, and is then gone. The processes that live
on need room all the time; before the cache is checked, one lease more of a shard that is not there makes sure.

HAPISTORE_KILLS=500 kills so often; it takes some minutes.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hapistore.cache import ShardCache, ShardName
from hapistore_format import write_feature_shard

KILLS = int(os.environ.get("HAPISTORE_KILLS", "60"))
PROCESSES, SHARDS, AT_HAND = 4, 16, 10


def name_of(number: int) -> ShardName:
    return ShardName("s3://bucket", f"features/{number:064x}.arrow")


def work(path: Path, folder: Path, seed: int) -> None:
    """Lease, announce, read and release at random, for ever."""
    order = random.Random(seed)
    cache = ShardCache(path)
    while True:
        numbers = [order.randrange(SHARDS) for _ in range(20)]
        with cache.announce([name_of(number) for number in numbers] if seed % 2 else []) as future:
            leases = []
            for place, number in enumerate(numbers):
                future.advance(place + 1)
                data = (folder / str(number)).read_bytes
                leases.append(cache.lease(name_of(number), data, decoded=order.random() < 0.3))
                reader = leases[-1].reader
                assert reader.header.images == f"{number:064x}"
                del reader
                if len(leases) > 2:
                    leases.pop(order.randrange(3)).close()
            while leases:
                leases.pop().close()


def wait_for_work(cache: ShardCache) -> None:
    """Until somebody has leased something: on a busy machine a moment may pass without any."""
    before, deadline = cache.stats(), time.monotonic() + 60
    while all(cache.stats()[name] == before[name] for name in ("hits", "misses")):
        assert time.monotonic() < deadline, "nobody does anything"
        time.sleep(0.002)


class Sampler(threading.Thread):
    """The most that a disk ever held."""

    def __init__(self, disk) -> None:
        super().__init__(daemon=True)
        self.disk, self.most, self.samples, self.ended = disk, 0, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.0002):
            self.most = max(self.most, self.disk.taken_bytes())
            self.samples += 1


@pytest.fixture
def folder(tmp_path):
    """Feature shards as files: where processes fetch them."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(SHARDS):
        features = np.random.default_rng(number).random((12, 16, 16, 16), np.float32)
        data = write_feature_shard(
            features, codec="u8c+zstd", recipe="a" * 64, images=f"{number:064x}", provenance={"n": number}
        )
        (source / str(number)).write_bytes(data)
    return source


def test_killed_at_random_moments(mount_disk, folder):
    size = (folder / "0").stat().st_size
    capacity = (1 << 20) + (64 << 10) + AT_HAND * (size + 8192)
    disk = mount_disk(4 * capacity)
    path, sampler = disk.path, Sampler(disk)
    sampler.start()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hapistore.cache", "numpy", __name__])
    moments = random.Random(7)
    with ShardCache(path, capacity_bytes=capacity, reserve_bytes=0) as cache:

        def start(seed: int) -> multiprocessing.Process:
            process = context.Process(target=work, args=(path, folder, seed), daemon=True)
            process.start()
            return process

        left: Counter[str] = Counter()
        running = [start(seed) for seed in range(PROCESSES)]
        for kill in range(KILLS):
            wait_for_work(cache)
            time.sleep(moments.uniform(0, 0.08))
            victim = running.pop(moments.randrange(PROCESSES))
            assert victim.exitcode is None
            victim.kill()
            victim.join()
            left.update(finding.where.partition("/")[0] for finding in cache.check() if finding.code == "left-over")
            cache.usage()  # what anybody does who needs room
            found = cache.check()
            # Others may be killed by nobody but us, so all that is found would be a fault.
            assert found == [], f"after kill {kill}: {found}"
            running.append(start(PROCESSES + kill))
        for process in running:
            process.kill()
            process.join()
        cache.usage()
        assert cache.check() == []
        for number in range(SHARDS):
            with cache.lease(name_of(number), (folder / str(number)).read_bytes) as leased:
                assert leased.reader.header.images == f"{number:064x}"
        assert cache.usage().reserved_bytes == 0
        stats = cache.stats()
        # It would prove nothing if nothing had been held or brought when it was killed.
        assert left["holders"] and left["arriving"] and stats["hits"] and stats["evicted"] > KILLS // 4, (left, stats)
    sampler.ended.set()
    sampler.join()
    assert sampler.samples > KILLS
    assert sampler.most <= capacity, f"{sampler.most} of {capacity}"


class Deadline:
    """Kills its process at the n-th line that it runs of the cache."""

    def __init__(self, lines: float) -> None:
        self.lines, self.seen = lines, 0

    def __call__(self, frame, event, argument):
        if CACHE not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.seen += 1
            if self.seen >= self.lines:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


CACHE = f"{os.sep}hapistore{os.sep}cache{os.sep}"


def live(cache: ShardCache, folder: Path, lines: float) -> int:
    """All that a process does with a cache, until its deadline; how many lines that is."""
    deadline = Deadline(lines)
    sys.settrace(deadline)
    with cache.announce([name_of(number) for number in (0, 12, 13)]) as future:
        future.advance(1)
        with cache.lease(name_of(0), (folder / "0").read_bytes) as leased:  # is there
            assert leased.reader.header.images == f"{0:064x}"
            future.advance(2)
            with cache.lease(name_of(12), (folder / "12").read_bytes, decoded=True) as other:  # others must go for it
                assert other.reader.header.images == f"{12:064x}"
        future.advance(3)
        cache.lease(name_of(13), (folder / "13").read_bytes).close()
    sys.settrace(None)
    return deadline.seen


def test_killed_at_lines_all_over(mount_disk, folder):
    """Random moments seldom meet the few microseconds between two writes to the index."""
    capacity = (1 << 20) + (64 << 10) + AT_HAND * ((folder / "0").stat().st_size + 8192)
    disk = mount_disk(4 * capacity)
    left: Counter[str] = Counter()
    with ShardCache(disk.path, capacity_bytes=capacity, reserve_bytes=0) as cache:

        def fill() -> None:
            cache.evict([shard.key for shard in cache.ls() if shard.name in (name_of(12).name, name_of(13).name)])
            for number in (*range(1, 12), 14, 15, 0):  # more than fit
                cache.lease(name_of(number), (folder / str(number)).read_bytes).close()

        fill()
        lines = live(cache, folder, float("inf"))
        for kill in range(KILLS):
            fill()
            deadline = 1 + kill * lines // KILLS
            child = os.fork()
            if not child:
                live(cache, folder, deadline)
                os._exit(0)
            assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
            assert disk.taken_bytes() <= capacity
            found = cache.check()
            assert {finding.code for finding in found} <= {"left-over"}, f"killed at line {deadline}: {found}"
            left.update(finding.where.partition("/")[0] for finding in found)
            cache.usage()
            assert cache.check() == [], f"killed at line {deadline}"
            assert disk.taken_bytes() <= capacity
            assert all(not shard.leased_by for shard in cache.ls())
    # Of removals as well, where the kills are many enough to meet the few lines of one.
    assert left["holders"] and left["arriving"] and (left["shards"] or KILLS < 300), left
