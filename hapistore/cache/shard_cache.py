"""The shard cache of a compute node."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any

from ..errors import UsageError
from .arriving import Fetch
from .checking import Finding, check
from .contents import CachedShard, evict, list_shards, read_stats, set_pinned
from .forms import preflight
from .held import Wanted
from .index import Index
from .lease import Future, Lease
from .member import Member
from .members import join, leave
from .names import ShardName
from .policies import POLICIES
from .records import Settings
from .room import Usage, measure
from .sweeping import sweep


class ShardCache:
    """Feature shards on this machine's disk, shared by its processes, jobs and users.

    Safe from several threads, and over forks: a child begins without leases of its own. Pickles as path and options.
    Several of one folder in a process share everything. Give it a disk of this machine, not one of a network.

    Args:
        path: a folder, made where there is none.
        capacity_bytes: what everything in it may take on the disk, its index included. Holds for all who use it, from
            now on; None: as it was set before, at first half of what is free.
        reserve_bytes: what stays free on the file system (1 GiB unless it was set before).
        group: name of a group whose members share the folder; None: its owner alone uses it.
        policy: ``next-use``, or another of ``POLICIES``.
        create: whether it may be made.

    Raises:
        UsageError: the folder is somebody else's, no cache, or has no room for anything.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        capacity_bytes: int | None = None,
        reserve_bytes: int | None = None,
        group: str | None = None,
        policy: str | None = None,
        create: bool = True,
    ) -> None:
        if policy is not None and policy not in POLICIES:
            raise UsageError(f"policy {policy!r} is none of {', '.join(POLICIES)}")
        self._options: dict[str, Any] = {
            "capacity_bytes": capacity_bytes,
            "reserve_bytes": reserve_bytes,
            "group": group,
            "policy": policy,
        }
        self.path = os.path.realpath(path)
        self._member: Member | None = join(self.path, create=create, **self._options)

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.path, self._options)

    def __repr__(self) -> str:
        return f"ShardCache({self.path!r})"

    def __enter__(self) -> ShardCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def member(self) -> Member:
        """This process's part in it.

        Raises:
            ValueError: the cache is closed.
        """
        if self._member is None:
            raise ValueError(f"{self!r} is closed")
        return self._member

    @property
    def settings(self) -> Settings:
        return self.member.settings

    def lease(
        self, shard: ShardName | tuple[str, str], fetch: Fetch, *, decoded: bool = False, may_evict: bool = True
    ) -> Lease:
        """A shard, from the cache or else by ``fetch``, and then into the cache where there is room or can be made.

        Of all processes and threads that want it, one fetches it. Never waits for room: what is not let in is handed
        out from memory.

        Args:
            shard: (URL of the store, name of the object).
            fetch: gets the object's bytes.
            decoded: whether it is kept decoded if it comes now; one that is here stays as it is.
            may_evict: whether others may have to go for it.

        Raises:
            FormatError: what is fetched is damaged, or no feature shard. And what ``fetch`` raises.
        """
        member = self.member
        wanted = Wanted(shard=ShardName(*shard), fetch=fetch, decoded=decoded, may_evict=may_evict)
        return Lease(member, member.lease(wanted))

    def keep(self, name: str, data: bytes | memoryview) -> None:
        """Store the only copy of a shard, which is never evicted.

        Raises:
            UsageError: there is no room for it.
            FormatError: it is no sound feature shard.
        """
        with self.lease(ShardName("", name), lambda: data) as leased:
            if not leased.cached:
                raise UsageError(
                    f"cache {self.path} has no room for {name}; raise its capacity, or unpin what is in it"
                )

    def announce(self, order: Sequence[ShardName | tuple[str, str]]) -> Future:
        """Say which shards will be used, in the order of their use, over this epoch and perhaps the next."""
        return Future(self.member, [ShardName(*shard) for shard in order])

    def usage(self) -> Usage:
        """What takes how much."""
        member = self.member

        def read(index: Index) -> Usage:
            sweep(index, member.folder)
            with index.read() as transaction:
                return measure(transaction, member.folder, member.settings)

        return member.index.run(read)

    def preflight(self, window_bytes: int) -> str | None:
        """A warning with the numbers where the cache is smaller than one training window; else None.

        Args:
            window_bytes: of all shards that are wanted at the same time, in the form in which they are kept.
        """
        usage = self.usage()
        stays = sum(shard.disk_bytes for shard in self.ls() if shard.pinned or shard.sole)
        room = usage.capacity_bytes - usage.own_bytes - stays
        return preflight(window_bytes, room_bytes=room, capacity_bytes=usage.capacity_bytes)

    def ls(self) -> list[CachedShard]:
        """What is in it, by origin and name."""
        return list_shards(self.member)

    def stats(self) -> dict[str, Any]:
        """Hits, misses, bytes saved and evicted since the index was made, the room there is, and who uses it."""
        return read_stats(self.member)

    def pin(self, keys: Collection[str], *, pinned: bool = True) -> int:
        """Keep shards (by ``CachedShard.key``) until they are unpinned; how many changed."""
        return set_pinned(self.member, _to_bytes(keys), pinned)

    def evict(
        self, keys: Collection[str] | None = None, *, even_pinned: bool = False, even_sole: bool = False
    ) -> tuple[int, int]:
        """Remove shards (by ``CachedShard.key``; all without), but what is leased; how many, and how many bytes.

        Args:
            even_pinned, even_sole: whether pinned shards and only copies may go.
        """
        chosen = None if keys is None else _to_bytes(keys)
        return evict(self.member, chosen, even_pinned=even_pinned, even_sole=even_sole)

    def check(self, *, fix: bool = False) -> list[Finding]:
        """Cross-check index, files, sizes, checksums and counters, while others go on; nothing found, all is well.

        Args:
            fix: remove what is damaged or unknown, free what ended processes left, and count anew.
        """
        return check(self.member, fix=fix)

    def close(self) -> None:
        """Give back what this process leases by it; the shards stay. The process's last one of a folder leaves it."""
        member, self._member = self._member, None
        if member is not None:
            leave(self.path)


def _to_bytes(keys: Collection[str]) -> set[bytes]:
    return {bytes.fromhex(key) for key in keys}


def _reopen(path: str, options: dict[str, Any]) -> ShardCache:
    return ShardCache(path, **options)
