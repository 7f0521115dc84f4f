"""Cross-checks of a cache: index, files, sizes, checksums, counters, and what the dead have left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hapistore_format import DamagedError

from .files import disk_bytes, is_sound, read_note
from .folder import Folder
from .futures import futures_of
from .held import Wanted
from .holders import holder_path, is_locked, known_holders
from .index import Index, Transaction, scan
from .member import Member
from .names import KEY_BYTES, ShardName, key_of
from .records import DOOMED, LEASE, TOTALS, Entry
from .room import all_entries
from .sweeping import (
    arrivals,
    arriving_path,
    leased_keys,
    read_totals,
    remove_entries,
    shard_path,
    stray_files,
    sweep,
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        code: ``damaged``, ``missing-file``, ``unknown-file``, ``wrong-size``, ``wrong-count``; or ``left-over``, of a
            process that has ended, which whoever next needs room takes away: no fault.
        where: a shard's name, or a file's.
    """

    code: str
    where: str
    detail: str


def check(member: Member, *, fix: bool = False) -> list[Finding]:
    """Compare everything with everything; reads every byte, while others go on using the cache.

    Args:
        fix: remove what is damaged or unknown, free what is left over, and count anew.
    """
    found = member.index.run(lambda index: _check_index(index, member.folder, fix=fix))
    for shard in member.index.run(_shards):
        found += _check_bytes(member, shard, fix=fix)
    return found


def _shards(index: Index) -> list[ShardName]:
    with index.read() as transaction:
        return [entry.shard for _, entry in all_entries(transaction) if not entry.damaged]


def _check_index(index: Index, folder: Folder, *, fix: bool) -> list[Finding]:
    with index.read() as transaction:
        found = [*_left_over(transaction, folder), *_nobodys(transaction)]
    if fix:
        sweep(index, folder)
    with index.read() as transaction:
        entries = dict(all_entries(transaction))
        wrong = {key: finding for key, entry in entries.items() if (finding := _compare(folder, key, entry))}
        unknown = list(_unknown_files(transaction, folder, entries))
        found += wrong.values()
        found += [Finding(code="unknown-file", where=path, detail="the index does not know it") for path in unknown]
        found += _counters(transaction, entries)
        leased = leased_keys(transaction)
    if fix:
        remove_entries(index, folder, {key: entries[key].disk_bytes for key in wrong if key not in leased})
        for path in unknown:
            Path(path).unlink()
        _count_anew(index)
    return found


def _left_over(transaction: Transaction, folder: Folder) -> Iterator[Finding]:
    """What ended processes have left."""
    holders = known_holders(transaction)
    for holder, info in holders.items():
        if not is_locked(holder_path(folder, holder)):
            ended = f"process {info.pid} on {info.host} has ended"
            yield Finding(code="left-over", where=f"holders/{holder.hex()}", detail=ended)
    for key, arrival in arrivals(transaction).items():
        path = arriving_path(folder, key, arrival.token)
        if not is_locked(path):
            yield Finding(code="left-over", where=f"arriving/{path.name}", detail="who was bringing it has ended")
    for key, _ in scan(transaction, DOOMED):
        yield Finding(code="left-over", where=f"shards/{key.hex()}", detail="its removal was not finished")
    known = {holder.hex() for holder in holders}
    for path in stray_files(folder):
        if path.name not in known:
            yield Finding(code="left-over", where=f"{path.parent.name}/{path.name}", detail="it is nobody's")


def _nobodys(transaction: Transaction) -> Iterator[Finding]:
    """What is written down of processes that are not."""
    holders = known_holders(transaction)
    for lease, _ in scan(transaction, LEASE):
        if bytes(lease[:-KEY_BYTES]) not in holders:
            yield Finding(code="wrong-count", where=lease[-KEY_BYTES:].hex(), detail="it is leased by nobody known")
    for future, holder, _ in futures_of(transaction):
        if holder not in holders:
            yield Finding(code="wrong-count", where=future.hex(), detail="an order of use is nobody's")


def _compare(folder: Folder, key: bytes, entry: Entry) -> Finding | None:
    path, where = shard_path(folder, key), entry.shard.name
    if key_of(entry.shard) != key:
        return Finding(code="unknown-file", where=where, detail=f"it stands under the key of another, {key.hex()}")
    try:
        size, disk = path.stat().st_size, disk_bytes(path)
        if size != entry.file_bytes or disk > entry.disk_bytes:  # some file systems need less after a while
            expected = f"the index says {entry.file_bytes}, {entry.disk_bytes}"
            return Finding(code="wrong-size", where=where, detail=f"{size} bytes, {disk} on the disk; {expected}")
        note = read_note(path)
    except FileNotFoundError:
        return Finding(code="missing-file", where=where, detail=f"{path} is gone")
    except DamagedError as error:
        return Finding(code="damaged", where=where, detail=error.detail)
    if (note.shard, note.codec, note.checksum) != (entry.shard, entry.codec, entry.checksum):
        return Finding(code="damaged", where=where, detail="its file's note says something else than the index")
    return None


def _unknown_files(transaction: Transaction, folder: Folder, entries: dict[bytes, Entry]) -> Iterator[str]:
    doomed = {bytes(key) for key, _ in scan(transaction, DOOMED)}
    arriving = arrivals(transaction)
    for path in folder.shards.iterdir():
        try:
            key = bytes.fromhex(path.name)
        except ValueError:
            key = b""
        if key not in entries and key not in doomed and key not in arriving:
            yield str(path)


def _counters(transaction: Transaction, entries: dict[bytes, Entry]) -> list[Finding]:
    doomed = sum(int.from_bytes(size, "little") for _, size in scan(transaction, DOOMED))
    stored = sum(entry.disk_bytes for entry in entries.values()) + doomed
    counted = read_totals(transaction).stored_bytes
    if stored == counted:
        return []
    detail = f"it counts {counted} bytes of shards, there are {stored}"
    return [Finding(code="wrong-count", where="index.mdb", detail=detail)]


def _count_anew(index: Index) -> None:
    with index.write() as transaction:
        totals = read_totals(transaction)
        totals.stored_bytes = sum(entry.disk_bytes for _, entry in all_entries(transaction))
        transaction.put(TOTALS, totals.pack())


class _GoneError(Exception):
    """It was evicted since the index was looked at."""


def _refuse() -> bytes:
    raise _GoneError


def _check_bytes(member: Member, shard: ShardName, *, fix: bool) -> list[Finding]:
    """Read one shard, leased meanwhile."""
    try:
        held = member.lease(Wanted(shard=shard, fetch=_refuse, counted=False))
    except _GoneError:
        return []
    try:
        path = shard_path(member.folder, held.key)
        if held.entry is None or is_sound(path, read_note(path)):
            return []
        if fix:
            member.set_aside(held)
        return [Finding(code="damaged", where=shard.name, detail=f"{path} does not match its checksum")]
    except (FileNotFoundError, DamagedError):
        return []  # found before
    finally:
        member.give_back(held)
