"""What is in a cache, for people; and what people decide of it: pins, and what is to go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from .futures import futures_of
from .holders import known_holders
from .index import Index, find, scan
from .member import Member
from .names import KEY_BYTES
from .records import ENTRY, LEASE, Entry, HolderInfo
from .room import all_entries, evictable, measure
from .sweeping import arrivals, read_totals, sweep


@dataclass(frozen=True, kw_only=True)
class CachedShard:
    """A shard that is here.

    Attributes:
        key: 32 hexadecimal digits; origin, name: as in ``ShardName``; codec: of the form in which it is kept.
        disk_bytes: what it takes; fetched_bytes: what a hit spares the link.
        created, used: seconds since 1970; hits: leases that found it.
        sole: the only copy; leased_by: processes that hold it.
    """

    key: str
    origin: str
    name: str
    codec: str
    disk_bytes: int
    fetched_bytes: int
    created: float
    used: float
    hits: int
    pinned: bool
    sole: bool
    leased_by: tuple[HolderInfo, ...]


def list_shards(member: Member) -> list[CachedShard]:
    """Everything, by origin and name."""

    def read(index: Index) -> list[CachedShard]:
        sweep(index, member.folder)
        with index.read() as transaction:
            holders = known_holders(transaction)
            leased: dict[bytes, list[HolderInfo]] = {}
            for lease, _ in scan(transaction, LEASE):
                leased.setdefault(lease[-KEY_BYTES:], []).append(holders[lease[:-KEY_BYTES]])
            return [_describe(key, entry, tuple(leased.get(key, ()))) for key, entry in all_entries(transaction)]

    return sorted(member.index.run(read), key=lambda shard: (shard.origin, shard.name))


def _describe(key: bytes, entry: Entry, leased_by: tuple[HolderInfo, ...]) -> CachedShard:
    return CachedShard(
        key=key.hex(),
        origin=entry.shard.origin,
        name=entry.shard.name,
        codec=entry.codec,
        disk_bytes=entry.disk_bytes,
        fetched_bytes=entry.fetched_bytes,
        created=entry.created,
        used=entry.used,
        hits=entry.hits,
        pinned=entry.pinned,
        sole=entry.sole,
        leased_by=leased_by,
    )


def read_stats(member: Member) -> dict[str, Any]:
    """Counts since the index was made, and where the room is."""

    def read(index: Index) -> dict[str, Any]:
        sweep(index, member.folder)
        with index.read() as transaction:
            totals, usage = read_totals(transaction), measure(transaction, member.folder, member.settings)
            holders = known_holders(transaction)
            looked = totals.hits + totals.misses
            return {
                **asdict(totals),
                "hit_rate": totals.hits / looked if looked else None,
                "shards": sum(1 for _ in scan(transaction, ENTRY)),
                "policy": member.settings.policy,
                "capacity_bytes": usage.capacity_bytes,
                "own_bytes": usage.own_bytes,
                "reserved_bytes": usage.reserved_bytes,
                "free_bytes": usage.free_bytes,
                "arriving": len(arrivals(transaction)),
                "orders_announced": len(futures_of(transaction)),
                "processes": [info._asdict() for info in holders.values()],
            }

    return member.index.run(read)


def set_pinned(member: Member, keys: Collection[bytes], pinned: bool) -> int:
    """Pin shards that are here, or unpin them; how many changed. A pin outlives the index: it is an empty file."""

    def change(index: Index) -> int:
        changed = 0
        with index.write() as transaction:
            for key in keys:
                value = find(transaction, ENTRY + key)
                if value is None or (entry := Entry.unpack(value)).pinned == pinned:
                    continue
                member.folder.mark_pinned(key.hex(), pinned)
                transaction.put(ENTRY + key, entry._replace(pinned=pinned).pack())
                changed += 1
        return changed

    return member.index.run(change)


def evict(
    member: Member, keys: Collection[bytes] | None, *, even_pinned: bool = False, even_sole: bool = False
) -> tuple[int, int]:
    """Remove shards, all without ``keys``; how many went and what they took. What is leased stays.

    Args:
        even_pinned, even_sole: whether pinned shards and only copies may go.
    """

    def remove(index: Index) -> tuple[int, int]:
        sweep(index, member.folder)
        with index.read() as transaction:
            entries = evictable(transaction, pinned=even_pinned, sole=even_sole)
        sizes = {key: entry.disk_bytes for key, entry in entries.items() if keys is None or key in keys}
        member.dock.room.evict(index, sizes)
        for key in sizes:
            member.folder.mark_pinned(key.hex(), False)
        return len(sizes), sum(sizes.values())

    return member.index.run(remove)
