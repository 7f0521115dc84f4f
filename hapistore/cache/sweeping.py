"""What the dead leave: leases, futures, reservations, files that were being written, removals that were begun.

Done by whoever next needs room, with the index to himself. What no longer has an owner is removed, whatever the moment
was at which that ended; so there is nothing that anybody has to repair by hand.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from .files import room_for
from .folder import Folder
from .futures import futures_of, remove_future
from .holders import holder_path, is_locked, known_holders
from .index import Index, Transaction, find, scan
from .names import KEY_BYTES
from .records import ARRIVAL, DOOMED, ENTRY, HOLDER, LEASE, STRANGER, TOTALS, Arrival, Totals

_log = logging.getLogger(__name__)


def arriving_path(folder: Folder, key: bytes, token: bytes) -> Path:
    """What is locked while a shard is brought. Whoever waits has it open, so it is not the shard's own file: that
    would keep its blocks if it were evicted meanwhile."""
    return folder.arriving / f"{key.hex()}.{token.hex()}"


def part_path(folder: Folder, key: bytes, token: bytes) -> Path:
    """Where a shard is written before it is whole."""
    return folder.arriving / f"{key.hex()}.{token.hex()}.part"


def shard_path(folder: Folder, key: bytes) -> Path:
    return folder.shards / key.hex()


def sweep(index: Index, folder: Folder) -> None:
    """Give back what belongs to nobody that lives."""
    finish_removals(index, folder)
    with index.write() as transaction:
        for holder in known_holders(transaction):
            if not is_locked(holder_path(folder, holder)):
                _bury(transaction, folder, holder)
        for key, arrival in arrivals(transaction).items():
            path = arriving_path(folder, key, arrival.token)
            if not is_locked(path):
                remove_arrival(transaction, folder, key, arrival)
        for stranger, _ in list(scan(transaction, STRANGER)):
            if not is_locked(holder_path(folder, bytes(stranger))):
                transaction.delete(STRANGER + stranger)
    for path in stray_files(folder):
        path.unlink(missing_ok=True)


def finish_removals(index: Index, folder: Folder) -> None:
    """Unlink what was written down to be unlinked, and count it out."""
    with index.read() as transaction:
        doomed = [(bytes(key), int.from_bytes(value, "little")) for key, value in scan(transaction, DOOMED)]
    if not doomed:
        return
    for key, _ in doomed:
        shard_path(folder, key).unlink(missing_ok=True)
    with index.write() as transaction:
        totals = read_totals(transaction)
        for key, size in doomed:
            transaction.delete(DOOMED + key)
            totals.stored_bytes -= size
        transaction.put(TOTALS, totals.pack())


def remove_entries(index: Index, folder: Folder, sizes: dict[bytes, int]) -> None:
    """Remove shards, by what they take. A removal is written down first, so that one that is cut short is finished."""
    with index.write() as transaction:
        for key, size in sizes.items():
            transaction.delete(ENTRY + key)
            transaction.put(DOOMED + key, size.to_bytes(8, "little"))
    finish_removals(index, folder)


def remove_arrival(transaction: Transaction, folder: Folder, key: bytes, arrival: Arrival) -> None:
    """Give up an arrival with its reservation, and its file, which may have its final name already."""
    arriving_path(folder, key, arrival.token).unlink(missing_ok=True)
    part_path(folder, key, arrival.token).unlink(missing_ok=True)
    if transaction.get(ENTRY + key) is None:
        shard_path(folder, key).unlink(missing_ok=True)
    transaction.delete(ARRIVAL + key)


def find_arrival(transaction: Transaction, key: bytes) -> Arrival | None:
    value = find(transaction, ARRIVAL + key)
    return None if value is None else Arrival.unpack(value)


def arrivals(transaction: Transaction) -> dict[bytes, Arrival]:
    return {bytes(key): Arrival.unpack(value) for key, value in scan(transaction, ARRIVAL)}


def leased_keys(transaction: Transaction) -> set[bytes]:
    """Shards that anybody leases."""
    return {bytes(lease[-KEY_BYTES:]) for lease, _ in scan(transaction, LEASE)}


def has_strangers(transaction: Transaction) -> bool:
    """Whether there are processes whose leases a new index does not know yet."""
    return any(True for _ in scan(transaction, STRANGER))


def read_totals(transaction: Transaction) -> Totals:
    return Totals.unpack(find(transaction, TOTALS) or b"")


def stray_files(folder: Folder) -> list[Path]:
    """Files of processes that ended before they were written down, or after they were forgotten."""
    return [
        Path(entry.path)
        for place in (folder.arriving, folder.holders)
        for entry in os.scandir(place)
        if not is_locked(Path(entry.path))
    ]


def unfinished_bytes(path: Path) -> int:
    """What is reserved for a file that is being written: its length was set when the reservation was made."""
    size = path.stat().st_size
    return room_for(size) if size else 0


def _bury(transaction: Transaction, folder: Folder, holder: bytes) -> None:
    for lease, _ in list(scan(transaction, LEASE + holder)):
        transaction.delete(LEASE + holder + lease)
    for future, owner, _ in futures_of(transaction):
        if owner == holder:
            remove_future(transaction, future)
    transaction.delete(HOLDER + holder)
    holder_path(folder, holder).unlink(missing_ok=True)
    _log.info("freed what a process that has ended held of cache %s", folder.root)
