"""An index that is lost or spoilt, with and without others at work; and what ``check`` finds."""

from __future__ import annotations

import os
import threading

import pytest

from hapistore.cache import ShardCache

from .conftest import name_of

SPOILS = {
    "lost": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: os.truncate(path, 12_288),
    "cut in a page": lambda path: os.truncate(path, 10_000),
    "garbage": lambda path: path.write_bytes(os.urandom(1 << 20)),
    "zeros behind its head": lambda path: path.write_bytes(path.read_bytes()[:8192].ljust(1 << 20, b"\0")),
    "of a version before": lambda path: path.write_bytes(path.read_bytes().replace(b"v1", b"v0")),
}


@pytest.fixture
def filled(tmp_path, capacity, shards):
    """A cache with five shards that nobody has open, one of them pinned; its folder."""
    with ShardCache(tmp_path / "cache", capacity_bytes=capacity, reserve_bytes=0) as cache:
        for number in range(5):
            cache.lease(name_of(number), lambda number=number: shards[number], decoded=number == 3).close()
        cache.pin([cache.ls()[2].key])
    return tmp_path / "cache"


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoilt_index_is_built_again(filled, spoil):
    with ShardCache(filled) as cache:
        before = [(shard.name, shard.codec, shard.disk_bytes, shard.pinned) for shard in cache.ls()]
        usage = cache.usage()
    SPOILS[spoil](filled / "index.mdb")
    with ShardCache(filled) as cache:
        assert [(shard.name, shard.codec, shard.disk_bytes, shard.pinned) for shard in cache.ls()] == before
        assert (cache.usage().stored_bytes, cache.usage().capacity_bytes) == (usage.stored_bytes, usage.capacity_bytes)
        assert cache.check() == []
        with cache.lease(name_of(0), bytes) as leased:
            assert leased.reader.header.rows == 64


@pytest.mark.parametrize("spoil", ["lost", "truncated", "cut in a page"])
def test_leases_outlive_the_index(filled, spoil):
    with ShardCache(filled) as cache:
        held = cache.lease(name_of(1), bytes)
        assert held.reader.header.rows == 64
        SPOILS[spoil](filled / "index.mdb")
        assert cache.evict()[0] == 3  # neither the pinned one nor this
        held.close()
        assert cache.evict()[0] == 1
        assert cache.check() == []


def test_nothing_goes_before_all_have_told_a_new_index_what_they_lease(filled, shards):
    """A process that is busy elsewhere may have anything mapped."""
    with ShardCache(filled) as cache:
        ready, done = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            held = cache.lease(name_of(1), bytes)
            os.write(ready[1], b"x" if held.reader else b"")
            os.read(done[0], 1)
            cache.ls()
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            held.close()
            cache.close()
            os._exit(0)
        os.read(ready[0], 1)
        (filled / "index.mdb").unlink()
        assert cache.evict()[0] == 0
        os.write(done[1], b"x")
        os.read(ready[0], 1)
        assert cache.evict()[0] == 3
        os.write(done[1], b"x")
        assert os.waitpid(child, 0)[1] == 0
        assert cache.evict()[0] == 1


def test_an_old_index_gives_its_blocks_back(mount_disk, capacity, shards):
    disk = mount_disk(4 * capacity)
    with ShardCache(disk.path, capacity_bytes=capacity, reserve_bytes=0) as cache:
        ready, done = os.pipe(), os.pipe()
        child = os.fork()
        if not child:  # has the index mapped, and does not know that it is another
            cache.lease(name_of(0), lambda: shards[0])
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        before = disk.taken_bytes()
        with open(disk.path / "index.mdb", "rb+") as file:
            file.write(os.urandom(1 << 20))
        os.truncate(disk.path / "index.mdb", 9000)
        assert [shard.name for shard in cache.ls()] == [name_of(0).name]
        assert disk.taken_bytes() == before
        os.write(done[1], b"x")
        assert os.waitpid(child, 0)[1] == 0


def test_a_shard_on_its_way_keeps_its_place_in_a_new_index(filled, shards):
    go, began = threading.Event(), threading.Event()

    def fetch() -> bytes:
        began.set()
        assert go.wait(30)
        return shards[9]

    with ShardCache(filled) as cache:
        found = []
        thread = threading.Thread(target=lambda: found.append(cache.lease(name_of(9), fetch)))
        thread.start()
        assert began.wait(30)
        (filled / "index.mdb").unlink()
        assert cache.stats()["arriving"] == 1
        go.set()
        thread.join()
        assert found[0].cached and found[0].reader.header.images == f"{9:064x}"
        found[0].close()
        assert cache.check() == []


def test_damaged_files_do_not_enter_a_new_index(filled):
    names = sorted(path.name for path in (filled / "shards").iterdir())
    with open(filled / "shards" / names[0], "rb+") as file:
        file.write(b"damage")
    os.truncate(filled / "shards" / names[1], 1000)
    (filled / "shards" / names[2]).rename(filled / "shards" / ("0" * 32))
    (filled / "index.mdb").unlink()
    with ShardCache(filled) as cache:
        assert [shard.key for shard in sorted(cache.ls(), key=lambda s: s.key)] == names[3:]
        assert cache.check() == []
    assert len(list((filled / "shards").iterdir())) == 2


FAULTS = {
    "missing-file": lambda root, key: (root / "shards" / key).unlink(),
    "unknown-file": lambda root, key: (root / "shards" / ("0" * 32)).write_bytes(b"x"),
    "wrong-size": lambda root, key: (root / "shards" / key).write_bytes(
        b"in front" + (root / "shards" / key).read_bytes()
    ),
    "damaged": lambda root, key: _flip(root / "shards" / key, 3000),
    "left-over": lambda root, key: (root / "arriving" / f"{key}.{'0' * 32}").touch(),
}


def _flip(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("code", FAULTS)
def test_check_finds_and_mends(filled, code):
    with ShardCache(filled) as cache:
        key = cache.ls()[0].key
        FAULTS[code](filled, key)
        found = cache.check()
        assert code in {finding.code for finding in found} <= {code, "damaged"}
        assert len(cache.check(fix=True)) == len(found)
        assert cache.check() == []
