"""One process: leases, hits, room, forms, futures, damage."""

from __future__ import annotations

import os
import pickle
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hapistore.cache import ShardCache, ShardName
from hapistore.errors import DamagedError, UsageError
from hapistore_format import FeatureShardReader, write_feature_shard

from .conftest import make_shard, name_of


class Source:
    """Where shards are fetched; counts."""

    def __init__(self, shards: list[bytes]) -> None:
        self.shards, self.fetched = shards, []

    def __call__(self, number: int):
        def fetch() -> bytes:
            self.fetched.append(number)
            return self.shards[number]

        return fetch


@pytest.fixture
def source(shards):
    return Source(shards)


@pytest.fixture
def use(cache, source):
    """Leases a shard, reads it, and gives it back; whether it was cached."""

    def use(number: int, **more) -> bool:
        with cache.lease(name_of(number), source(number), **more) as leased:
            assert leased.reader.header.images == f"{number:064x}"
            return leased.cached

    return use


def test_a_shard_is_fetched_once(cache, use, source):
    assert use(0) and use(0) and use(0)
    assert source.fetched == [0]
    stats = cache.stats()
    assert (stats["hits"], stats["misses"], stats["hit_rate"]) == (2, 1, 2 / 3)
    assert stats["saved_bytes"] == 2 * len(source.shards[0])


def test_stores_do_not_meet(cache, source):
    with cache.lease(name_of(0), source(0)):
        pass
    with cache.lease(name_of(0, "s3://other"), source(1)) as leased:
        assert leased.reader.header.images == f"{1:064x}"
    assert source.fetched == [0, 1]


def test_what_is_leased_stays_and_the_rest_streams(cache, source, capacity):
    leases = [cache.lease(name_of(number), source(number)) for number in range(10)]
    assert [lease.cached for lease in leases] == [True] * 6 + [False] * 4
    for number, lease in enumerate(leases):
        assert lease.reader.header.images == f"{number:064x}"
        lease.close()
    assert cache.stats()["streamed"] == 4


def blocks_under(folder: Path) -> int:
    """What everything in a folder takes on the disk, folders included."""
    return sum(path.stat().st_blocks * 512 for path in (folder, *folder.rglob("*")))


def test_the_capacity_is_kept(cache, use, tmp_path, capacity):
    order = random.Random(3)
    for _ in range(60):
        use(order.randrange(24), decoded=order.random() < 0.5)
        assert blocks_under(tmp_path / "cache") <= capacity
    assert cache.stats()["evicted"] > 10


@pytest.mark.parametrize("codec", ["u8c+zstd", "u8c", "f16+lz4", "f32", "bf16+zstd"])
def test_a_decoded_shard_is_read_in_place(cache, codec):
    shard = make_shard(0, rows=40, codec=codec)
    expected = FeatureShardReader(shard, where="test")
    with cache.lease(name_of(0), lambda: shard, decoded=True) as leased:
        reader = leased.reader
        assert reader.header.codec == codec.partition("+")[0]
        stored = reader.stored()
        assert np.array_equal(stored, expected.stored()) and not stored.flags.owndata and not stored.flags.writeable
        base = stored
        while isinstance(base, np.ndarray):
            base = base.base
        assert np.array_equal(reader.features(), expected.features())
        assert reader.provenance == expected.provenance
        del stored, reader, base


def test_the_form_stays_as_it_came(cache, use):
    use(0)
    use(0, decoded=True)
    assert [shard.codec for shard in cache.ls()] == ["u8c+zstd"]


def test_the_least_recently_used_goes_where_nothing_is_announced(cache, use):
    for number in (0, 1, 2, 3, 4, 5, 0, 6):
        use(number)
    assert {int(shard.name[-8:-6], 16) for shard in cache.ls()} == {0, 2, 3, 4, 5, 6}


def test_more_small_shards_than_the_index_holds(cache):
    """Each takes a record of the index, however few bytes it has."""
    features = np.zeros((1, 4), np.float32)
    data = bytes(write_feature_shard(features, codec="f32", recipe="a" * 64, images="b" * 64, provenance={}))
    with ShardCache(cache.path, capacity_bytes=64 << 20):
        for number in range(1300):
            with cache.lease(name_of(number), lambda: data) as leased:
                assert leased.cached
        assert 900 < len(cache.ls()) <= 1024


def test_a_warming_up_evicts_nothing(cache, use):
    found = [use(number, may_evict=False) for number in range(9)]
    assert found == [True] * 6 + [False] * 3


def offline_hits(trace: list[int], slots: int) -> int:
    """Belady's MIN as in a textbook: the farthest goes, and what is farther than all others does not come."""
    cached: set[int] = set()
    hits = 0
    for now, wanted in enumerate(trace):
        if wanted in cached:
            hits += 1
            continue
        rest = trace[now + 1 :]
        reach = {shard: rest.index(shard) if shard in rest else len(trace) for shard in {*cached, wanted}}
        if len(cached) == slots:
            cached.add(wanted)
            cached.remove(max(reach, key=reach.__getitem__))
        else:
            cached.add(wanted)
    return hits


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trace=st.lists(st.integers(0, 9), min_size=10, max_size=40))
def test_one_reader_hits_as_often_as_the_offline_optimum(cache, trace, shards):
    cache.evict()
    source = Source(shards)
    with cache.announce([name_of(number) for number in trace]) as future:
        for place, number in enumerate(trace):
            future.advance(place + 1)
            cache.lease(name_of(number), source(number)).close()
    assert len(trace) - len(source.fetched) == offline_hits(trace, 6)


def test_the_nearest_use_of_all_readers_counts(cache, use):
    for number in range(6):
        use(number)
    with cache.announce([name_of(n) for n in (0, 1, 2, 9)]), cache.announce([name_of(n) for n in (9, 5, 4, 3)]):
        use(9)
        # 2 and 4 are next in two uses of their reader, 3 in three: all others sooner, and 9 at once.
        assert {int(shard.name[-8:-6], 16) for shard in cache.ls()} == {0, 1, 2, 4, 5, 9}


def test_a_closed_future_is_forgotten(cache, use):
    for number in range(6):
        use(number)
    future = cache.announce([name_of(number) for number in (0, 1, 2, 3, 4, 5)])
    assert not use(6)
    future.close()
    assert use(6)


def test_threads_fetch_one_shard_once(cache, source):
    gate, results = threading.Barrier(8), []

    def slowly() -> bytes:
        time.sleep(0.05)
        return source(0)()

    def lease() -> None:
        gate.wait()
        with cache.lease(name_of(0), slowly) as leased:
            results.append(leased.reader.header.rows)

    threads = [threading.Thread(target=lease) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and source.fetched == [0]


def test_a_fetch_that_fails_leaves_nothing(cache, use, source):
    def fail() -> bytes:
        raise ConnectionError("the link is down")

    with pytest.raises(ConnectionError):
        cache.lease(name_of(0), fail)
    assert cache.usage().reserved_bytes == 0 and cache.ls() == []
    assert use(0)


def test_damage_on_the_way_is_fetched_again(cache, source):
    broken = bytearray(source.shards[0])
    broken[5000] ^= 1
    answers = [bytes(broken), source.shards[0]]
    with cache.lease(name_of(0), lambda: answers.pop(0)) as leased:
        assert leased.reader.header.rows == 64
    with pytest.raises(DamagedError):
        cache.lease(name_of(1), lambda: bytes(broken))


def damage(cache: ShardCache, at: int = 5000) -> None:
    (shard,) = cache.ls()
    with open(f"{cache.path}/shards/{shard.key}", "rb+") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def test_damage_on_the_disk_is_fetched_again(cache, use, source, caplog):
    use(0)
    damage(cache)
    assert use(0)
    assert source.fetched == [0, 0] and "is damaged in the cache" in caplog.text
    assert use(0) and source.fetched == [0, 0]
    assert cache.stats()["damaged"] == 1


def test_a_file_that_is_gone_or_cut_short_is_fetched_again(cache, use, source, tmp_path):
    for number, spoil in enumerate(
        (lambda p: p.unlink(), lambda p: p.write_bytes(b""), lambda p: p.write_bytes(p.read_bytes()[:9999]))
    ):
        use(number)
        (key,) = [shard.key for shard in cache.ls() if shard.name == name_of(number).name]
        spoil(tmp_path / "cache/shards" / key)
        assert use(number)
        assert source.fetched == [number, number]
        source.fetched.clear()


def test_arrays_that_outlive_a_lease_keep_the_shard(cache, use, source):
    leased = cache.lease(name_of(0), source(0), decoded=True)
    stored = leased.reader.stored()
    leased.close()
    assert cache.evict() == (0, 0)
    for number in range(1, 9):
        use(number)
    assert name_of(0).name in {shard.name for shard in cache.ls()}
    assert stored.sum() > 0
    del stored
    use(1)
    assert cache.evict()[0] == 5 and cache.ls() == []


def test_pinned_shards_and_sole_copies_stay(cache, use, source, shards):
    cache.keep("features/only-here", shards[20])
    use(0)
    (key,) = [shard.key for shard in cache.ls() if not shard.sole]
    assert cache.pin([key]) == 1
    for number in range(1, 12):
        use(number)
    names = {shard.name: shard for shard in cache.ls()}
    assert names[name_of(0).name].pinned and names["features/only-here"].sole
    cache.evict()
    assert len(cache.ls()) == 2
    assert cache.pin([key], pinned=False) == 1
    cache.evict()
    assert [shard.sole for shard in cache.ls()] == [True]
    with cache.lease(ShardName("", "features/only-here"), bytes) as leased:
        assert leased.reader.header.images == f"{20:064x}"
    cache.evict(even_sole=True)


def test_a_smaller_capacity_evicts_at_once(cache, use, tmp_path, capacity, shards):
    for number in range(6):
        use(number)
    smaller = capacity - 2 * len(shards[0])
    with ShardCache(tmp_path / "cache", capacity_bytes=smaller) as again:
        assert blocks_under(tmp_path / "cache") <= smaller
        assert again.usage().capacity_bytes == smaller
    child = os.fork()
    if not child:
        with ShardCache(cache.path, capacity_bytes=capacity):
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.usage().capacity_bytes == capacity  # what one process sets holds for all


def test_a_closed_cache_and_lease_say_so(tmp_path, capacity, source):
    cache = ShardCache(tmp_path / "cache", capacity_bytes=capacity)
    leased = cache.lease(name_of(0), source(0))
    leased.close()
    leased.close()
    with pytest.raises(ValueError, match="closed"):
        _ = leased.reader
    cache.close()
    cache.close()
    with pytest.raises(ValueError, match="closed"):
        cache.ls()
    with ShardCache(tmp_path / "cache") as again:
        outlives = again.lease(name_of(0), source(0))
    outlives.close()
    assert not list((tmp_path / "cache/holders").iterdir())


def test_it_pickles_as_its_path(cache, use):
    use(0)
    with pickle.loads(pickle.dumps(cache)) as again:
        assert len(again.ls()) == 1


def test_half_of_what_is_free_where_no_capacity_was_set(tmp_path):
    with ShardCache(tmp_path / "new") as cache:
        disk = os.statvfs(tmp_path)
        free = disk.f_bavail * disk.f_frsize
        assert 0.4 * free < cache.settings.capacity_bytes < 0.6 * free
        assert ShardCache(tmp_path / "new").settings == cache.settings


def test_refusals(tmp_path, capacity):
    with pytest.raises(UsageError, match="holds nothing"):
        ShardCache(tmp_path / "new", capacity_bytes=1000)
    with pytest.raises(UsageError, match="none of"):
        ShardCache(tmp_path / "new", capacity_bytes=capacity, policy="best")
    (tmp_path / "photos").mkdir(mode=0o755)
    (tmp_path / "photos/cat.jpg").touch()
    with pytest.raises(UsageError, match=r"other things than a cache \(cat.jpg\)"):
        ShardCache(tmp_path / "photos", capacity_bytes=capacity)
    assert (tmp_path / "photos").stat().st_mode & 0o777 == 0o755
    with pytest.raises(UsageError, match="there is no cache"):
        ShardCache(tmp_path / "nothing", create=False)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/hapistore-cache.json").write_text('{"format": 99}')
    with pytest.raises(UsageError, match="format 99"):
        ShardCache(tmp_path / "cache", capacity_bytes=capacity)


def test_preflight(cache, capacity):
    assert cache.preflight(capacity // 3) is None
    assert "raise the capacity" in cache.preflight(capacity)
