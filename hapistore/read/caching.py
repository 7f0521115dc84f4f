"""Feature shards through the node's cache, which is told what comes next."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from hapistore_format import FeatureShardReader

from ..cache import Future, Lease, ShardCache, ShardName, choose_form

_log = logging.getLogger(__name__)
# Leases of readers that went without being closed. They are given back when the next one opens a shard: the garbage
# collector may run in a thread that holds the very locks that this takes.
_abandoned: deque[Lease] = deque()
os.register_at_fork(after_in_child=_abandoned.clear)


class Origin(Protocol):
    """A store that shards come from; its reading may be timed."""

    @property
    def url(self) -> str: ...
    def get(self, name: str) -> memoryview: ...


class CachedShards:
    """Opens shards for one reader. A child process begins without any; see `OpenShards` for *sources*.

    Args:
        decoded_bytes: of all shards together: they are kept decoded where that fits.
    """

    def __init__(self, cache: ShardCache, *, decoded_bytes: int) -> None:
        self._cache = cache
        self.decoded = choose_form(0, decoded_bytes, cache.settings.capacity_bytes) == "decoded"
        self._leases: set[Lease] = set()
        self._begin_process()
        weakref.finalize(self, _abandon, self._leases).atexit = False

    def _begin_process(self) -> None:
        self._process, self._lock = os.getpid(), threading.Lock()
        self._future: Future | None = None
        self._uses: dict[int, int] = {}
        self._leases.clear()

    def open(self, source: int, store: Origin, name: str) -> tuple[FeatureShardReader, Lease]:
        """A shard, leased until `give_back`.

        Raises:
            NotFound, FormatError: it is gone from the store, or damaged there.
        """
        while _abandoned:
            _abandoned.popleft().close()
        with self._locked():
            if self._future is not None and source in self._uses:
                self._future.advance(self._uses[source] + 1)
        lease = self._cache.lease(ShardName(store.url, name), lambda: store.get(name), decoded=self.decoded)
        try:
            reader = lease.reader
        except BaseException:
            lease.close()
            raise
        with self._locked():
            self._leases.add(lease)
        return reader, lease

    def give_back(self, lease: Lease) -> None:
        """What it is of is not open any more."""
        with self._locked():
            self._leases.discard(lease)
        lease.close()

    @contextmanager
    def announced(self, order: Sequence[int], names: Sequence[ShardName]) -> Iterator[None]:
        """Meanwhile the cache knows what is opened next.

        Args:
            order: sources, in the order in which an epoch comes to them; names: of these, and of what comes after them.
        """
        with self._cache.announce(names) as future:
            with self._locked():
                self._future, self._uses = future, {source: place for place, source in enumerate(order)}
            try:
                yield
            finally:
                with self._locked():
                    if self._future is future:
                        self._future = None

    def in_order(self, sources: np.ndarray) -> np.ndarray:
        """Sources (int64 [k]), each once, those first that were announced to come first."""
        uses = self._uses
        return np.array(sorted(np.unique(sources).tolist(), key=lambda source: uses.get(source, 0)), np.int64)

    def warn_of(self, window_bytes: int) -> None:
        """Say in the log that a training window does not fit, where it does not."""
        if warning := self._cache.preflight(window_bytes):
            _log.warning("%s", warning)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._process != os.getpid():
            self._begin_process()
        with self._lock:
            yield


def _abandon(leases: set[Lease]) -> None:
    _abandoned.extend(leases)
