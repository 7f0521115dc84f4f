"""A shard on its way in: one process fetches it, all others wait for that one, and take over if it ends."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hapistore_format import FeatureShardReader, write_decoded_shard

from ..stores.sound import read_sound
from .descriptors import close_kept, keep_from_children
from .files import Note, checksum_of, entry_of, room_for, write_shard
from .folder import Folder
from .index import Full, Index
from .names import ShardName, key_of
from .records import ARRIVAL, ENTRY, TOTALS, Arrival, Entry, Settings, lease_key
from .room import Room
from .sweeping import arriving_path, find_arrival, part_path, read_totals, remove_arrival, shard_path

Fetch = Callable[[], "bytes | memoryview"]
_FULL = (errno.ENOSPC, errno.EDQUOT)
_log = logging.getLogger(__name__)


class Ticket:
    """The right to bring one shard: locked files, and an arrival written down in the same turn with the index.

    Attributes:
        path, descriptor: of the file to fill.
    """

    def __init__(self, index: Index, folder: Folder, holder: bytes, shard: ShardName) -> None:
        self.shard, self.holder = shard, holder
        self.key, self.token = key_of(shard), uuid.uuid4().bytes
        self.path = part_path(folder, self.key, self.token)
        self._sign = arriving_path(folder, self.key, self.token)
        self._waited_for = _create_locked(folder, self._sign)
        self.descriptor = _create_locked(folder, self.path)
        try:
            with index.write() as transaction:
                transaction.put(ARRIVAL + self.key, Arrival(holder, self.token, 0).pack())
        except BaseException:
            self.path.unlink()
            self._close_files()
            raise

    def close(self, index: Index, folder: Folder) -> None:
        """Give up what is still written down of it, and let those go on who wait."""

        def forget(index: Index) -> None:
            with index.write() as transaction:
                arrival = find_arrival(transaction, self.key)
                if arrival is not None and arrival.token == self.token:
                    remove_arrival(transaction, folder, self.key, arrival)

        try:
            index.run(forget)
        finally:
            self._close_files()

    def _close_files(self) -> None:
        self._sign.unlink(missing_ok=True)
        close_kept(self.descriptor)
        close_kept(self._waited_for)


def _create_locked(folder: Folder, path: Path) -> int:
    descriptor = keep_from_children(folder.create_file(path))
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


@dataclass(frozen=True)
class Cargo:
    """A sound shard in memory, in the form in which it is to be kept."""

    reader: FeatureShardReader
    data: memoryview
    fetched_bytes: int


def fetch_sound(shard: ShardName, fetch: Fetch, *, decoded: bool) -> Cargo:
    """Fetch a shard, again where it was damaged on its way, and decode it where that is wanted.

    Raises:
        DamagedError: it comes damaged, twice in the same way.
        FormatError: it is no feature shard. And what ``fetch`` raises.
    """

    def parse(data: memoryview, *, where: str) -> tuple[memoryview, FeatureShardReader]:
        return data, FeatureShardReader(data, where=where)

    data, reader = read_sound(lambda: memoryview(fetch()).cast("B"), parse, where=shard.name)
    fetched = len(data)
    if decoded:
        data = write_decoded_shard(reader)
        reader = FeatureShardReader(data, where=shard.name)
    return Cargo(reader, data, fetched)


class Dock:
    """Where shards are brought into one cache."""

    def __init__(self, index: Index, folder: Folder) -> None:
        self._index, self._folder, self._room, self._warned = index, folder, Room(folder), False

    @property
    def room(self) -> Room:
        return self._room

    def admit(self, ticket: Ticket, cargo: Cargo, settings: Settings, *, may_evict: bool) -> Entry | None:
        """Store what came and lease it to who brings it; None where there is no room, or the disk fails.

        A disk that others filled up meanwhile is as good as a smaller cache: more is evicted, once.
        """
        note = Note(
            ticket.shard,
            cargo.reader.header.codec,
            len(cargo.data),
            cargo.fetched_bytes,
            checksum_of(cargo.data),
            time.time(),
        )
        for _ in range(2):
            try:
                if not self._reserve(ticket, len(cargo.data) + len(note.pack()), settings, may_evict=may_evict):
                    return None
                write_shard(ticket.descriptor, cargo.data, note.pack(), sync=not ticket.shard.origin)
                return self._index.run(lambda index: self._publish(index, ticket, note))
            except OSError as error:
                self._unreserve(ticket)
                if error.errno not in _FULL:
                    self._warn(f"it cannot be written ({error.strerror})")
                    return None
            except Full:
                self._warn("its index is full")
                return None
        self._warn("the disk is full")
        return None

    def count_streamed(self, fetched_bytes: int) -> None:
        """A shard was handed out from memory."""

        def count(index: Index) -> None:
            with index.write() as transaction:
                totals = read_totals(transaction)
                totals.misses += 1
                totals.streamed += 1
                totals.fetched_bytes += fetched_bytes
                transaction.put(TOTALS, totals.pack())

        self._index.run(count)

    def _reserve(self, ticket: Ticket, file_bytes: int, settings: Settings, *, may_evict: bool) -> bool:
        def reserve(index: Index) -> bool:
            with index.read() as transaction:
                arrival = find_arrival(transaction, ticket.key)
            if arrival is None or arrival.token != ticket.token:
                return False  # somebody has removed our file
            size = room_for(file_bytes)
            if not self._room.reserve(index, ticket.key, size, settings, may_evict=may_evict):
                return False
            os.ftruncate(ticket.descriptor, file_bytes)  # by which a new index knows what is reserved
            return True

        return self._index.run(reserve)

    def _unreserve(self, ticket: Ticket) -> None:
        def give_back(index: Index) -> None:
            os.ftruncate(ticket.descriptor, 0)
            with index.write() as transaction:
                arrival = find_arrival(transaction, ticket.key)
                if arrival is not None and arrival.token == ticket.token:
                    transaction.put(ARRIVAL + ticket.key, arrival._replace(reserved_bytes=0).pack())

        self._index.run(give_back)

    def _publish(self, index: Index, ticket: Ticket, note: Note) -> Entry | None:
        pinned = (self._folder.pinned / ticket.key.hex()).exists()
        entry = entry_of(ticket.path, note, pinned=pinned)
        with index.write() as transaction:
            arrival = find_arrival(transaction, ticket.key)
            if arrival is None or arrival.token != ticket.token:
                return None
            totals = read_totals(transaction)
            totals.stored_bytes += entry.disk_bytes
            totals.misses += 1
            totals.fetched_bytes += note.fetched_bytes
            transaction.put(TOTALS, totals.pack())
            transaction.put(ENTRY + ticket.key, entry.pack())
            transaction.put(lease_key(ticket.holder, ticket.key), b"")
            transaction.delete(ARRIVAL + ticket.key)
            # Before the commit: what has this name and no entry belongs to an arrival that was cut short.
            ticket.path.rename(shard_path(self._folder, ticket.key))
        return entry

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("cache %s: %s; what does not fit is handed out from memory", self._folder.root, reason)
