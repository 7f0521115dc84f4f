"""Two users: apart by default, together in a group."""

from __future__ import annotations

import os
import stat
import tempfile
import traceback
from pathlib import Path

import pytest

from hapistore.cache import ShardCache
from hapistore.errors import UsageError

from .conftest import name_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming other users needs root")
ALICE, BOB, EVE = 61001, 61002, 61003


@pytest.fixture
def group() -> str:
    """A group that exists, whose members Alice and Bob are made."""
    import grp

    return next(entry.gr_name for entry in grp.getgrall() if entry.gr_gid >= 10)


@pytest.fixture
def common(tmp_path):
    """A folder that everybody reaches."""
    for parent in (tmp_path, *tmp_path.parents):
        if Path(tempfile.gettempdir()) in parent.parents:
            parent.chmod(0o755)
    common = tmp_path / "common"
    common.mkdir()
    common.chmod(0o777)
    return common


def fork_as(uid: int, groups: list[int], work) -> int:
    """Run it in a child as another user; the child's number."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups(groups)
            os.setgid(uid)
            os.setuid(uid)
            os.umask(0o077)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


def as_user(uid: int, groups: list[int], work) -> None:
    """The same, waited for; what it raises fails the test."""
    assert os.waitpid(fork_as(uid, groups, work), 0)[1] == 0


def modes(root) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()}


def test_a_cache_is_its_owners_only(common, capacity, shards):
    path = common / "cache"

    def fill() -> None:
        with ShardCache(path, capacity_bytes=capacity, reserve_bytes=0) as cache:
            cache.lease(name_of(0), lambda: shards[0]).close()

    def refused(**more) -> None:
        with pytest.raises(UsageError, match="belongs to user 61001|may not be used"):
            ShardCache(path, capacity_bytes=capacity, **more)

    as_user(ALICE, [], fill)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700 and modes(path) == {0o600}
    as_user(BOB, [], refused)
    as_user(ALICE, [], fill)


def test_a_group_shares_one(common, capacity, shards, group):
    import grp

    path, gid = common / "cache", grp.getgrnam(group).gr_gid

    def use(number: int):
        def work() -> None:
            with ShardCache(path, capacity_bytes=capacity, reserve_bytes=0, group=group) as cache:
                for one in range(number, number + 8):  # more than fit: each removes what the other brought
                    with cache.lease(name_of(one), lambda: shards[one]) as leased:  # noqa: B023
                        assert leased.cached and leased.reader.header.images == f"{one:064x}"
                assert cache.check() == []

        return work

    as_user(ALICE, [gid], use(0))
    as_user(BOB, [gid], use(8))
    (path / "index.mdb").unlink()
    as_user(BOB, [gid], use(0))
    as_user(ALICE, [gid], use(8))
    assert stat.S_IMODE(path.stat().st_mode) == 0o2770 and modes(path) == {0o660}

    def refused() -> None:
        with pytest.raises(UsageError, match="may not be used"):
            ShardCache(path, capacity_bytes=capacity, group=group)

    as_user(EVE, [], refused)


def test_another_users_leases_count(common, capacity, shards, group):
    import grp

    path, gid = common / "cache", grp.getgrnam(group).gr_gid
    ready, done = os.pipe(), os.pipe()

    def hold() -> None:
        cache = ShardCache(path, capacity_bytes=capacity, reserve_bytes=0, group=group)
        leased = cache.lease(name_of(0), lambda: shards[0])
        os.write(ready[1], b"x" if leased.cached else b"")
        os.read(done[0], 1)

    def evict() -> None:
        os.read(ready[0], 1)
        with ShardCache(path, group=group) as cache:
            assert cache.evict() == (0, 0)
            assert [info.user for info in cache.ls()[0].leased_by] == [str(ALICE)]

    child = fork_as(ALICE, [gid], hold)
    os.close(ready[1])  # if she fails, Bob need not wait
    as_user(BOB, [gid], evict)
    os.write(done[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
