"""Opened feature shards, and rows gathered from many of them at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np

from hapistore_format import FeatureShardReader, get_codec
from hapistore_format.codecs.axes import ChannelAxes
from hapistore_format.codecs.jit import jit
from hapistore_format.codecs.quantisers import Addresses, Picked

from ..cache import Lease, ShardName
from ..catalog import View
from ..catalog.reading import read_object
from ..errors import HapistoreError
from ..stores import ObjectStore
from ..units import format_bytes
from .caching import CachedShards
from .residents import Residents
from .stats import ReadStats

_log = logging.getLogger(__name__)


class Opened(NamedTuple):
    """A shard's reader, and all its rows as stored; where they are the cache's, the lease too."""

    reader: FeatureShardReader
    stored: np.ndarray
    lease: Lease | None = None


def row_bytes(view: View) -> int:
    """Of a row's values as they are stored, when its shard is open."""
    return ChannelAxes.of(view.shape).row_values * get_codec(view.codec).quantiser.dtype.itemsize


class OpenShards:
    """A shard is checked and decompressed when it is opened.

    A *source* is a shard of one of the views: shard ``number`` of view ``which`` is ``number * views + which``.

    Args:
        views: of the same rows, in a recipe each.
        memory_bytes: how much of decompressed shards is kept.
        stats: is told how long it took to fetch and to decode.
        passing: an epoch is done with one after the other, so one that is dropped is none that is wanted soon.
        cached: opens them through a cache. Those that are mapped there take no memory here.
    """

    def __init__(
        self,
        *views: View,
        memory_bytes: int,
        stats: ReadStats | None = None,
        passing: bool = False,
        cached: CachedShards | None = None,
    ) -> None:
        self._views, self._stats, self._passing, self._cached = views, stats or ReadStats(), passing, cached
        self._names = [view.feature_names() for view in views]
        self._quantiser = get_codec(views[0].codec).quantiser
        self._axes = ChannelAxes.of(views[0].shape)
        sizes = np.repeat([shard.rows * row_bytes(views[0]) for shard in views[0].version.shards], len(views))
        self._addresses = Addresses.none(len(sizes))
        self._warned = False
        self._residents = Residents(
            self._open,
            sizes,
            memory_bytes=memory_bytes,
            on_open=self._enter,
            on_evict=self._leave,
            on_gone=self._give_back,
            on_full=self._warn,
            size_of=self._memory_of,
            outlive_fork=cached is None,
        )

    @property
    def stored_dtype(self) -> np.dtype:
        """Of values as they are stored."""
        return self._quantiser.dtype

    def params(self, source: int) -> tuple[np.ndarray, ...]:
        """What turns a source's stored values into features: scale and zero of each channel, float32, or nothing."""
        return self._residents.get(source).reader.params

    @property
    def all_open(self) -> bool:
        """Whether every shard is; it may not last where memory is short."""
        return self._residents.all_open

    def get(self, number: int, which: int = 0) -> Opened:
        """Shard ``number`` of view ``which``.

        Raises:
            NotFound, FormatError: it is gone, or not as it was written.
        """
        return self._residents.get(number * len(self._views) + which)

    def gather(self, sources: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        """Row ``rows[i]`` of source ``sources[i]`` (int64 [k]) into ``out[i]``: [k, *shape], float32, or the dtype that
        is stored for values as they are stored.

        Raises:
            NotFound, FormatError: a shard is gone, or not as it was written.
        """
        needed = np.zeros(len(self._addresses.values), bool)
        needed[sources] = True
        flat = out.reshape(len(out), self._axes.row_values)
        # So that a shard's parameters are fetched once: they are several times a row's codes.
        places = np.empty(len(sources), np.int64)
        _sort_by_source(sources, len(needed), places)
        picked = Picked(sources[places], rows[places], places)
        for addresses, _held in self._leases(needed):
            started = time.perf_counter()
            if out.dtype == np.float32:
                self._quantiser.gather_from(addresses, picked, self._axes, flat)
            else:
                self._quantiser.gather_stored_from(addresses, picked, flat)
            self._count("gather", time.perf_counter() - started)

    def announced(self, *sequences: np.ndarray) -> AbstractContextManager[None]:
        """Meanwhile a cache knows in which order an epoch comes to its shards (int64 [k]), and those after it."""
        if not (self._cached and sequences):
            return nullcontext()
        count = len(self._views)
        orders = [(sequence[:, None] * count + np.arange(count)).ravel().tolist() for sequence in sequences]
        names = [ShardName(self._views[source % count].store.url, self._name(source)) for o in orders for source in o]
        return self._cached.announced(orders[0], names)

    def prefetch(self, sources: np.ndarray) -> None:
        """Begin to open sources (int64 [k]) that are not open, as far as there is memory besides what is wanted."""
        self._residents.prefetch(self._cached.in_order(sources) if self._cached else sources)

    def fit_ahead(self, sources: Sequence[np.ndarray]) -> bool:
        """Whether there is memory for all of these (int64 [k] each) besides what is in use."""
        return self._residents.fit_ahead(sources)

    def waiting_for(self) -> list[tuple[str, float]]:
        """Names of the shards that are being opened, and for how many seconds."""
        return [(self._name(source), seconds) for source, seconds in self._residents.opening()]

    def close(self) -> None:
        """End the threads that open shards, and give back what is the cache's."""
        self._residents.close()
        if self._cached:
            self._residents.let_go()

    def _leases(self, needed: np.ndarray) -> Iterator[tuple[Addresses, list[Opened]]]:
        """All that is needed (bool [sources]), so much at a time as there is memory for: where it is, and what keeps it
        there however soon it is evicted."""
        with self._residents.locked():
            here = needed & (self._addresses.values != 0)
            held = [self._residents.peek(source) for source in np.flatnonzero(here).tolist()]
            addresses = self._addresses.only(here)
        yield addresses, held
        for group in self._residents.groups(np.flatnonzero(needed & ~here)):
            with self._residents.locked():
                openings = [self._residents.begin(source) for source in group]
            addresses, held = Addresses.none(len(needed)), [opening.result() for opening in openings]
            for source, opened in zip(group, held, strict=True):
                addresses.put(source, opened.stored, opened.reader.params)
            yield addresses, held

    def _open(self, source: int) -> Opened:
        number, which = divmod(source, len(self._views))
        view, name = self._views[which], self._name(source)
        started = time.perf_counter()
        store = _Timed(view.store)
        lease = None
        if self._cached:
            reader, lease = self._cached.open(source, store, name)
        else:
            reader = read_object(store, name, FeatureShardReader)  # type: ignore[arg-type]
        self._check(reader, view, number, name)
        stored = np.ascontiguousarray(reader.stored())
        self._count("fetch", store.seconds)
        self._count("decode", time.perf_counter() - started - store.seconds)
        return Opened(reader, stored, lease)

    def _memory_of(self, source: int, opened: Opened) -> int:
        """Of one that is open. Where shards pass, those mapped count too: what is done with must be given back."""
        in_place = self._cached is not None and self._cached.decoded and self._quantiser.bits != 4
        mapped = in_place and opened.lease is not None and opened.lease.cached
        return 0 if mapped and not self._passing else opened.stored.nbytes

    def _give_back(self, opened: Opened) -> None:
        lease = opened.lease
        del opened  # as long as its arrays are there, its file is in use
        if self._cached and lease:
            self._cached.give_back(lease)

    def _check(self, reader: FeatureShardReader, view: View, number: int, name: str) -> None:
        shard, header = view.version.shards[number], reader.header
        expected = (view.recipe.digest, shard.images, shard.rows, view.shape)
        found = (header.recipe, header.images, header.rows, header.shape)
        # A cache may keep it decoded.
        if found != expected or header.codec not in (view.codec, get_codec(view.codec).quantiser.name):
            raise HapistoreError(f"{name} holds features of something else than its name says; run `hapistore verify`")
        unknown = set(reader.missing) - set(view.missing.get(number, ()))
        if unknown:
            raise HapistoreError(
                f"{name} has no features in row {min(unknown).row}, which the view does not know; open the view again"
            )

    def _name(self, source: int) -> str:
        number, which = divmod(source, len(self._views))
        return self._names[which][number]

    def _enter(self, source: int, opened: Opened) -> None:
        self._addresses.put(source, opened.stored, opened.reader.params)
        self._stats.shards += 1

    def _leave(self, source: int) -> None:
        self._addresses.values[source] = 0

    def _warn(self) -> None:
        if not self._warned and not self._passing:
            self._warned = True
            _log.warning(
                "%s does not fit in the reader's %s; shards are read again and again in an epoch shuffled over all of "
                'them. Raise memory_bytes, or choose shuffle="window".',
                self._views[0],
                format_bytes(self._residents.memory_bytes),
            )

    def _count(self, stage: str, seconds: float) -> None:
        with self._residents.locked():
            self._stats.seconds[stage] += seconds


@jit
def _sort_by_source(sources: np.ndarray, count: int, order: np.ndarray) -> None:
    """Fill ``order`` with where each comes from if they were sorted, equal ones in their order: by counting."""
    ends = np.zeros(count + 1, np.int64)
    for source in sources:
        ends[source + 1] += 1
    for source in range(count):
        ends[source + 1] += ends[source]
    for i in range(len(sources)):
        order[ends[sources[i]]] = i
        ends[sources[i]] += 1


class _Timed:
    """A store whose reading is timed."""

    def __init__(self, store: ObjectStore) -> None:
        self._store, self.url, self.seconds = store, store.url, 0.0

    def get(self, name: str) -> memoryview:
        started = time.perf_counter()
        data = self._store.get(name)
        self.seconds += time.perf_counter() - started
        return data
