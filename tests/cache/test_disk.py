"""A real small disk that others fill: the cache shrinks, and the job goes on."""

from __future__ import annotations

import pytest

from hapistore.cache import ShardCache

from .conftest import name_of

SIZE = 6 << 20


@pytest.fixture
def small_disk(mount_disk):
    return mount_disk(SIZE).path


@pytest.fixture
def use(shards):
    def use(cache: ShardCache, number: int) -> bool:
        with cache.lease(name_of(number), lambda: shards[number]) as leased:
            assert leased.reader.header.images == f"{number:064x}"
            return leased.cached

    return use


def test_a_disk_that_others_fill_shrinks_the_cache(small_disk, use, shards):
    with ShardCache(small_disk / "cache", capacity_bytes=SIZE, reserve_bytes=0) as cache:
        for number in range(18):
            assert use(cache, number)
        before = len(cache.ls())
        ballast = small_disk / "ballast"
        with open(ballast, "wb") as file:
            free = cache.usage().disk_bytes
            file.write(bytes(free))
        assert all(use(cache, number) for number in range(18, 24))
        assert 0 < len(cache.ls()) <= before
        for path in (small_disk / "cache/shards").iterdir():
            assert path.stat().st_size > 1000
        assert cache.check() == []


def test_a_disk_that_is_full_of_others_streams(small_disk, use, caplog):
    with ShardCache(small_disk / "cache", capacity_bytes=SIZE, reserve_bytes=0) as cache:
        with open(small_disk / "ballast", "wb") as file:
            file.write(bytes(cache.usage().disk_bytes - 50_000))
        assert [use(cache, number) for number in range(3)] == [False] * 3
        (small_disk / "ballast").unlink()
        assert use(cache, 0)
        assert cache.check() == []


def test_a_disk_that_fills_while_a_shard_is_written(small_disk, use, shards, caplog):
    """Between looking how much is free and writing, others may have taken it."""
    with ShardCache(small_disk / "cache", capacity_bytes=SIZE, reserve_bytes=0) as cache:
        for number in range(3):
            use(cache, number)
        # As root of the file system sees it there is room, and as a file is to be written there is none.
        cache.member.folder.write_settings({**vars(cache.settings), "reserve_bytes": -(1 << 30)})
        with open(small_disk / "ballast", "wb") as file:
            file.write(bytes(SIZE - (cache.usage().own_bytes + cache.usage().stored_bytes) - 60_000))
        assert not use(cache, 5)
        assert "the disk is full" in caplog.text
        assert cache.usage().reserved_bytes == 0
        assert cache.check() == []


def test_the_reserve_stays_free(small_disk, use):
    with ShardCache(small_disk / "cache", capacity_bytes=SIZE, reserve_bytes=2 << 20) as cache:
        for number in range(24):
            use(cache, number)
        free = cache.usage().disk_bytes + (2 << 20)
        assert 2 << 20 <= free < 3 << 20
