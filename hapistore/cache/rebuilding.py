"""A new index from the files."""

from __future__ import annotations

import logging
from pathlib import Path

from hapistore_format import DamagedError

from .files import entry_of, is_sound, read_note
from .folder import Folder
from .holders import is_locked
from .index import Transaction
from .names import KEY_BYTES, key_of
from .records import ARRIVAL, ENTRY, STRANGER, TOTALS, Arrival, Entry, Totals
from .sweeping import unfinished_bytes

_log = logging.getLogger(__name__)


def rebuild(transaction: Transaction, folder: Folder) -> None:
    """Fill an empty index. Every byte of every shard is read; what is damaged is removed, and is fetched when wanted.

    Processes that are at work go on. What they are writing keeps its reservation, and until each has told the new index
    what it leases, nothing is evicted.
    """
    totals = Totals()
    pinned = {path.name for path in folder.pinned.iterdir()}
    for path in sorted(folder.shards.iterdir()):
        entry = _read_entry(path, pinned=path.name in pinned)
        if entry is None:
            path.unlink()
            continue
        transaction.put(ENTRY + bytes.fromhex(path.name), entry.pack())
        totals.stored_bytes += entry.disk_bytes
    for path in folder.arriving.glob("*.part"):
        if is_locked(path):
            key, token, _ = path.name.split(".")
            arrival = Arrival(bytes(KEY_BYTES), bytes.fromhex(token), unfinished_bytes(path))
            transaction.put(ARRIVAL + bytes.fromhex(key), arrival.pack())
    for path in folder.holders.iterdir():
        if is_locked(path):
            transaction.put(STRANGER + bytes.fromhex(path.name), b"")
    transaction.put(TOTALS, totals.pack())


def _read_entry(path: Path, *, pinned: bool) -> Entry | None:
    """What a file is; None, with a line in the log, where it is damaged."""
    try:
        note = read_note(path)
        if key_of(note.shard).hex() != path.name:
            raise DamagedError(
                "bad-note", f"it is {note.shard.name}, and has the name of another shard", where=str(path)
            )
        if not is_sound(path, note):
            raise DamagedError("bad-block", "its bytes do not match their checksum", where=str(path))
    except DamagedError as error:
        _log.warning("a damaged file was removed from the cache: %s", error)
        return None
    return entry_of(path, note, pinned=pinned)
