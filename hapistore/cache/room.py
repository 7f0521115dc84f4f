"""Room for a shard that comes: what it takes is reserved, in one turn with the removal of what makes way for it.

Reserved, stored and the cache's own files together never exceed the capacity, so whoever writes only what he has
reserved cannot overfill it. Nobody waits for room: where there is none, the shard is not let in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

from .folder import Folder
from .futures import KnownFutures
from .index import Index, Transaction, scan
from .policies import POLICIES, Candidate, choose_victims
from .records import ARRIVAL, ENTRY, TOTALS, Entry, Settings
from .sweeping import arrivals, has_strangers, leased_keys, read_totals, remove_entries, sweep


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Where the room is.

    Attributes:
        capacity_bytes: of it, own_bytes are the index and the folders, stored_bytes shards, reserved_bytes shards that
            are being written.
        free_bytes: of the capacity; disk_bytes: what may still be written before the file system's reserve begins.
    """

    capacity_bytes: int
    own_bytes: int
    stored_bytes: int
    reserved_bytes: int
    disk_bytes: int

    @property
    def free_bytes(self) -> int:
        return self.capacity_bytes - self.own_bytes - self.stored_bytes - self.reserved_bytes

    @property
    def lacking_bytes(self) -> int:
        """What must go before nothing at all can come; negative: what can come."""
        return -min(self.free_bytes, self.disk_bytes)


def measure(transaction: Transaction, folder: Folder, settings: Settings) -> Usage:
    """Where the room is now."""
    reserved = sum(arrival.reserved_bytes for arrival in arrivals(transaction).values())
    disk = os.statvfs(folder.root)
    return Usage(
        capacity_bytes=settings.capacity_bytes,
        own_bytes=folder.own_bytes(),
        stored_bytes=read_totals(transaction).stored_bytes,
        reserved_bytes=reserved,
        # What is reserved may be written already; then the disk seems fuller than it is.
        disk_bytes=disk.f_bavail * disk.f_frsize - settings.reserve_bytes - reserved,
    )


class Room:
    """Makes room in one cache, by the policy that its settings name."""

    def __init__(self, folder: Folder) -> None:
        self._folder, self._futures = folder, KnownFutures()

    def reserve(self, index: Index, key: bytes, size: int, settings: Settings, *, may_evict: bool) -> bool:
        """Reserve for an arrival that is written down; False where there is no room and none can be made."""
        sweep(index, self._folder)
        with index.read() as transaction:
            lacking = measure(transaction, self._folder, settings).lacking_bytes + size
            if transaction.stat()["entries"] >= index.most_records:
                lacking = max(lacking, 1)  # the index wants room, too
            found = self._victims(transaction, key, size, lacking, settings) if lacking > 0 else {}
        if found is None or (found and not may_evict):
            return False
        if found:
            self.evict(index, found)
        with index.write() as transaction:
            arrival = arrivals(transaction)[key]
            transaction.put(ARRIVAL + key, arrival._replace(reserved_bytes=size).pack())
        return True

    def shrink(self, index: Index, settings: Settings) -> None:
        """Evict what is more than the capacity, after that was lowered, or the disk's reserve after others wrote."""
        sweep(index, self._folder)
        with index.read() as transaction:
            lacking = measure(transaction, self._folder, settings).lacking_bytes
            entries = evictable(transaction)
            lacking = min(lacking, sum(entry.disk_bytes for entry in entries.values()))
            found = self._victims(transaction, b"", 0, lacking, settings) if lacking > 0 else {}
        if found:
            self.evict(index, found)

    def evict(self, index: Index, sizes: dict[bytes, int]) -> None:
        """Remove shards that nobody leases, by what they take, and count them."""
        remove_entries(index, self._folder, sizes)
        with index.write() as transaction:
            totals = read_totals(transaction)
            totals.evicted += len(sizes)
            totals.evicted_bytes += sum(sizes.values())
            transaction.put(TOTALS, totals.pack())

    def _victims(
        self, transaction: Transaction, key: bytes, size: int, lacking: int, settings: Settings
    ) -> dict[bytes, int] | None:
        """What goes, by what it takes; None: the arriving shard is not to come. Without a key nothing arrives."""
        next_use = self._futures.next_use(transaction)
        entries = evictable(transaction)
        keys = list(entries)
        candidates = [
            Candidate(entry.disk_bytes, next_use(one), entry.used, entry.created) for one, entry in entries.items()
        ]
        now = time.time()
        arriving = Candidate(size, next_use(key) if key else 0, now, now)
        places = choose_victims(candidates, arriving, lacking, POLICIES[settings.policy])
        return None if places is None else {keys[place]: candidates[place].bytes for place in places}


def evictable(transaction: Transaction, *, pinned: bool = False, sole: bool = False) -> dict[bytes, Entry]:
    """Shards that may go: neither leased, nor pinned, nor the only copy.

    Args:
        pinned, sole: whether such may go too.
    """
    # A process that a new index does not know yet may lease anything.
    if has_strangers(transaction):
        return {}
    leased = leased_keys(transaction)
    return {
        key: entry
        for key, entry in all_entries(transaction)
        if key not in leased and (pinned or not entry.pinned) and (sole or not entry.sole)
    }


def all_entries(transaction: Transaction) -> Iterable[tuple[bytes, Entry]]:
    for key, value in scan(transaction, ENTRY):
        yield bytes(key), Entry.unpack(value)
