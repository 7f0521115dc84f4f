"""A process's part in one cache: it holds leases there, brings what is missing, and opens what it has."""

from __future__ import annotations

import logging
import time
import weakref
from dataclasses import replace
from pathlib import Path

from hapistore_format import FeatureShardReader, FormatError

from .arriving import Cargo, Dock, Ticket, fetch_sound
from .files import map_file
from .folder import Folder
from .held import Held, HeldShards, Wanted
from .holders import Holder, is_locked, wait_until_unlocked
from .index import Full, Index, find
from .rebuilding import rebuild
from .records import ENTRY, LEASE, STRANGER, TOTALS, Entry, Settings, lease_key
from .sweeping import (
    arriving_path,
    find_arrival,
    finish_removals,
    leased_keys,
    read_totals,
    remove_arrival,
    remove_entries,
    shard_path,
)

_OPEN_ATTEMPTS = 2
_log = logging.getLogger(__name__)


class Member:
    """One for each folder and process; ``ShardCache`` shares it.

    Attributes:
        holder: None before this process has needed one.
    """

    def __init__(self, folder: Folder, settings: Settings) -> None:
        self.folder, self._settings = folder, settings
        self.holder: Holder | None = None
        self._held = HeldShards()
        self.index = Index(folder, rebuild=lambda transaction: rebuild(transaction, folder), on_new=self._register)
        self.dock = Dock(self.index, folder)

    @property
    def settings(self) -> Settings:
        """What holds now: any process may change it."""
        found = self.folder.read_settings()
        known = {name: found[name] for name in vars(self._settings) if name in found}
        self._settings = replace(self._settings, **known)
        return self._settings

    def after_fork(self) -> None:
        """In a child: what its parent leases stays its parent's."""
        self._held, self.holder = HeldShards(), None
        self.index.after_fork()

    def close(self) -> None:
        """Give back everything and leave."""

        def leave(index: Index) -> None:
            if self.holder is None:
                return
            with index.write() as transaction:
                for key in self._held.in_use():
                    transaction.delete(lease_key(self.holder.id, key))
                self.holder.close(transaction)
            self.holder = None

        self.index.run(leave)
        self.index.close()

    def lease(self, wanted: Wanted) -> Held:
        """A shard, which is fetched where it is not here."""
        for idle in self._held.no_longer_lingering():
            self._end(idle)
        held = self._held.join(wanted)
        if held.steady:
            return held
        try:
            self._obtain(held)
        except BaseException:
            self._held.settle(held, steady=False)
            raise
        self._held.settle(held, steady=True)
        return held

    def give_back(self, held: Held) -> None:
        """End one lease; nothing where the process has left the cache, and its leases with it."""
        if not self.index.closed and self._held.leave(held):
            self._end(held)

    def open(self, held: Held) -> FeatureShardReader:
        """Its reader: its file is mapped and checked, once for as long as this process leases it.

        Raises:
            FormatError: the file is damaged, and so is what is fetched in its place. And what ``fetch`` raises.
        """
        with held.opening:
            for _ in range(_OPEN_ATTEMPTS):
                if held.reader is None:
                    self._map(held)
            if held.reader is None:
                self._stream(held)
            assert held.reader is not None
            return held.reader

    def set_aside(self, held: Held) -> None:
        """Give up a shard that is damaged: nobody gets it any more, and it is removed when nobody has it open."""
        self.index.run(lambda index: self._set_aside(index, held))
        held.entry, held.leased, held.map = None, False, None

    def hold(self, index: Index) -> bytes:
        """This process's number as a holder, with the index to oneself."""
        if self.holder is None:
            with index.write() as transaction:
                self.holder = Holder(self.folder, transaction)
        return self.holder.id

    def _register(self, index: Index) -> None:
        """Tell a new index what this process holds."""
        if self.holder is None:
            return
        with index.write() as transaction:
            self.holder.register(transaction)
            for key in self._held.in_use():
                if transaction.get(ENTRY + key) is not None:
                    transaction.put(lease_key(self.holder.id, key), b"")
            transaction.delete(STRANGER + self.holder.id)

    def _obtain(self, held: Held) -> None:
        waited = False
        while True:
            found = self._find(held, alone=waited)
            if isinstance(found, Entry):
                held.entry, held.leased, held.hits = found, True, int(held.wanted.counted)
                return
            if isinstance(found, Ticket):
                self._bring(held, found)
                return
            if found is None:
                self._stream(held)
                return
            wait_until_unlocked(found)
            waited = True

    def _find(self, held: Held, *, alone: bool) -> Entry | Ticket | Path | None:
        try:
            return self.index.run(lambda index: self._look(index, held, alone=alone))
        except Full:
            return None

    def _look(self, index: Index, held: Held, *, alone: bool) -> Entry | Ticket | Path | None:
        """A shard that is here, now leased; the right to bring it; or the file of who is bringing it, to wait for.

        None where nobody brings it, ``alone`` having waited for who did: what was not let in then, or could not be
        fetched, is not worth a queue.
        """
        holder = self.hold(index)
        with index.write() as transaction:
            value = find(transaction, ENTRY + held.key)
            if value is not None and not (entry := Entry.unpack(value)).damaged:
                transaction.put(lease_key(holder, held.key), b"")
                return entry
            arrival = find_arrival(transaction, held.key)
            if arrival is not None:
                path = arriving_path(self.folder, held.key, arrival.token)
                if is_locked(path):
                    return path
                remove_arrival(transaction, self.folder, held.key, arrival)
            elif alone:
                return None
            others_have_it = value is not None and held.key in leased_keys(transaction)
        if others_have_it:
            return None  # damaged, and still open in processes that found it sound
        if value is not None:
            remove_entries(index, self.folder, {held.key: Entry.unpack(value).disk_bytes})
        finish_removals(index, self.folder)
        return Ticket(index, self.folder, holder, held.wanted.shard)

    def _bring(self, held: Held, ticket: Ticket) -> None:
        try:
            cargo = _fetch(held)
            held.entry = self.dock.admit(ticket, cargo, self.settings, may_evict=held.wanted.may_evict)
            held.leased = held.entry is not None
        finally:
            ticket.close(self.index, self.folder)
        if held.entry is None:
            self._keep_in_memory(held, cargo)

    def _stream(self, held: Held) -> None:
        """Fetch a shard for this process alone."""
        self._keep_in_memory(held, _fetch(held))

    def _keep_in_memory(self, held: Held, cargo: Cargo) -> None:
        held.entry, held.leased, held.reader = None, False, cargo.reader
        self.dock.count_streamed(cargo.fetched_bytes)

    def _map(self, held: Held) -> None:
        assert held.entry is not None
        path = shard_path(self.folder, held.key)
        try:
            data = map_file(path)
            held.reader = FeatureShardReader(memoryview(data)[: held.entry.shard_bytes], where=str(path))
            held.map = weakref.ref(data)
        except (FormatError, FileNotFoundError, ValueError) as error:  # ValueError: the file is empty
            _log.warning("%s is damaged in the cache and fetched again: %s", held.wanted.shard.name, error)
            self.set_aside(held)
            self._obtain(held)

    def _set_aside(self, index: Index, held: Held) -> None:
        holder = self.hold(index)
        with index.write() as transaction:
            transaction.delete(lease_key(holder, held.key))
            value = find(transaction, ENTRY + held.key)
            if value is None:
                return
            entry = Entry.unpack(value)
            transaction.put(ENTRY + held.key, entry._replace(damaged=True).pack())
            totals = read_totals(transaction)
            totals.damaged += 1
            transaction.put(TOTALS, totals.pack())
            others_have_it = held.key in leased_keys(transaction)
        if not others_have_it:
            remove_entries(index, self.folder, {held.key: entry.disk_bytes})

    def _end(self, held: Held) -> None:
        """Tell the index of a last release; then the shard may be leased anew."""
        try:
            if held.leased:
                self.index.run(lambda index: self._give_back(index, held))
        except Full:
            _log.warning("the index of cache %s is full; what this process gave back stays leased", self.folder.root)
        finally:
            self._held.settle(held, steady=False)

    def _give_back(self, index: Index, held: Held) -> None:
        with index.write() as transaction:
            if self.holder is not None and not self._held.lingers(held.key):
                transaction.delete(LEASE + self.holder.id + held.key)
            value = find(transaction, ENTRY + held.key)
            if value is None or not held.hits:
                return
            entry = Entry.unpack(value)
            entry = entry._replace(used=time.time(), hits=entry.hits + held.hits)
            transaction.put(ENTRY + held.key, entry.pack())
            totals = read_totals(transaction)
            totals.hits += held.hits
            totals.saved_bytes += held.hits * entry.fetched_bytes
            transaction.put(TOTALS, totals.pack())


def _fetch(held: Held) -> Cargo:
    return fetch_sound(held.wanted.shard, held.wanted.fetch, decoded=held.wanted.decoded)
