"""kill -9 at random moments of four processes on one cache: it is sound after each, and never larger than it may be.

What a killed process held counts as left over until somebody next needs room, and is then gone. The processes that live
on need room all the time; before the cache is checked, one lease more of a shard that is not there makes sure.

HAPISTORE_KILLS=500 kills so often; it takes some minutes.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hapistore.cache import ShardCache, ShardName
from hapistore_format import write_feature_shard

KILLS = int(os.environ.get("HAPISTORE_KILLS", "40"))
PROCESSES, SHARDS, AT_HAND = 4, 16, 6


def name_of(number: int) -> ShardName:
    return ShardName("s3://bucket", f"features/{number:064x}.arrow")


def work(path: Path, folder: Path, seed: int) -> None:
    """Lease, announce, read and release at random, for ever."""
    order = random.Random(seed)
    cache = ShardCache(path)
    while True:
        numbers = [order.randrange(SHARDS) for _ in range(20)]
        with cache.announce([name_of(number) for number in numbers]) as future:
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
        features = np.random.default_rng(number).random((48, 16, 16, 16), np.float32)
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

        running = [start(seed) for seed in range(PROCESSES)]
        for kill in range(KILLS):
            time.sleep(moments.uniform(0, 0.06))
            victim = running.pop(moments.randrange(PROCESSES))
            assert victim.exitcode is None
            victim.kill()
            victim.join()
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
    sampler.ended.set()
    sampler.join()
    assert sampler.samples > KILLS
    assert sampler.most <= capacity, f"{sampler.most} of {capacity}"
