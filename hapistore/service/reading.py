"""What tickets are answered with: messages of a stream, from the store or from what is being made."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from hapistore_format import FeatureShardReader, MissingRow, Recipe

from ..catalog.names import features_name, recipe_name
from ..catalog.recipes import load_recipe
from ..errors import NotFound, UsageError
from ..stores import ObjectStore
from .beating import beating
from .gathering import SHARDS_AT_ONCE, Gathering
from .lanes import Lanes
from .making import Making, Wish
from .missing_list import write_missing
from .packing import pack
from .row_stream import pack_rows
from .tenancy.admission import Admission
from .tenancy.tenants import Tenant
from .tenancy.visibility import Visibility
from .wire import (
    BEAT_S,
    CHUNK_BYTES,
    FeaturesTicket,
    MissingTicket,
    ObjectsTicket,
    ObjectTicket,
    RowsTicket,
    Ticket,
    batch_of,
    beside,
)

_Out = TypeVar("_Out")
Sent = tuple[pa.RecordBatch, pa.Buffer | None]
_NOTHING = batch_of(b"")


class Watch(Protocol):
    """Who counts."""

    def passed_through(self) -> None: ...


class _Rows(NamedTuple):
    """Features of whole shards: float32 [rows, *shape], and the rows that have none."""

    values: np.ndarray
    missing: frozenset[int]


class Reading:
    """Answers tickets.

    Args:
        pool: where what may take long is done, while the client is told that it is.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        visibility: Visibility,
        admission: Admission,
        lanes: Lanes,
        pool: ThreadPoolExecutor,
        watch: Watch,
    ) -> None:
        self._store, self._visibility, self._admission = store, visibility, admission
        self._lanes, self._pool, self._watch = lanes, pool, watch
        self._gathering = Gathering(store, visibility=visibility, admission=admission)
        self._recipe = lru_cache(maxsize=1024)(lambda digest: load_recipe(store, digest))

    def answer(self, tenant: Tenant, ticket: Ticket) -> Iterator[Sent]:
        """A ticket's stream.

        Raises:
            NotFound, UsageError, HapistoreError: it cannot be had.
            TransientError: not just now.
        """
        with ExitStack() as held:
            if isinstance(ticket, RowsTicket):
                yield from self._rows(tenant, ticket, held)
            elif isinstance(ticket, FeaturesTicket):
                yield from self._features(tenant, ticket, held)
            elif isinstance(ticket, ObjectTicket):
                yield from self._object(tenant, ticket, held)
            elif isinstance(ticket, ObjectsTicket):
                data = yield from self._beating(lambda: self._gathering.objects(tenant, ticket, held))
                yield from _send(data, ticket.start)
            elif isinstance(ticket, MissingTicket):
                yield from self._missing(tenant, ticket)
            else:
                raise UsageError(f"a ticket of kind {ticket.kind!r} is not answered")

    def _object(self, tenant: Tenant, ticket: ObjectTicket, held: ExitStack) -> Iterator[Sent]:
        name, start, stop = ticket.name, ticket.start, ticket.stop
        if stop is not None and stop <= start:
            raise UsageError(f"bytes {start} to {stop} of {name}: expected the end after the start")

        def fetch() -> memoryview:
            self._visibility.check(tenant, name)
            if stop is None:
                return self._fetch(tenant, name, held)
            held.enter_context(self._admission.hold(tenant, stop - start))
            return self._store.get_ranges(name, [(start, stop)])[0]

        data = yield from self._beating(fetch)
        # A range is not packed: links are measured by ranges.
        yield from _send(data, start) if stop is None else _send(data, 0, at=start, packs=False)

    def _missing(self, tenant: Tenant, ticket: MissingTicket) -> Iterator[Sent]:
        version = yield from self._beating(lambda: self._gathering.find(tenant, ticket))
        found: dict[int, tuple[MissingRow, ...]] = {}
        for first in range(0, len(version.shards), SHARDS_AT_ONCE):
            some = range(len(version.shards))[first : first + SHARDS_AT_ONCE]
            found |= yield from self._beating(partial(self._gathering.missing, version, ticket, some))
        yield from _send(memoryview(write_missing(found)), ticket.start)

    def _features(self, tenant: Tenant, ticket: FeaturesTicket, held: ExitStack) -> Iterator[Sent]:
        wish, name, data = yield from self._look(tenant, ticket, held)
        if data is None:
            making = yield from self._making(tenant, wish, held)
            while not making.ended:
                yield _NOTHING, beside(making=[making.done, wish.shard.rows])
                making.wait(BEAT_S)
            making.check()
            if ticket.keep:
                data = yield from self._beating(lambda: self._made(making, tenant, name, held))
            else:
                data = yield from self._beating(lambda: making.encoded(ticket.codec))
        yield from _send(data, ticket.start)

    def _rows(self, tenant: Tenant, ticket: RowsTicket, held: ExitStack) -> Iterator[Sent]:
        wish, name, data = yield from self._look(tenant, ticket, held)
        next_row = ticket.start
        if data is None:
            making = yield from self._making(tenant, replace(wish, rows=True), held)
            next_row = yield from _rows_as_they_come(making, next_row)
            if next_row >= wish.shard.rows:
                return
            data = yield from self._beating(lambda: self._made(making, tenant, name, held))
        rows = yield from self._beating(lambda: _decoded(data, name))
        yield from _rows_that_are_there(rows, wish.recipe, ticket.images, next_row)

    def _look(
        self, tenant: Tenant, ticket: FeaturesTicket, held: ExitStack
    ) -> Generator[Sent, None, tuple[Wish, str, memoryview | None]]:
        """What a ticket asks for, of what its tenant may know of; the feature shard's name; and the shard, if it is
        stored."""

        def look() -> tuple[Wish, str, memoryview | None]:
            wish = self._wish(tenant, ticket)
            name = features_name(wish.recipe.digest, ticket.codec, ticket.images)
            try:
                data = self._fetch(tenant, name, held) if ticket.keep else None
            except NotFound:
                return wish, name, None
            if data is not None:
                self._watch.passed_through()
            return wish, name, data

        return self._beating(look)

    def _wish(self, tenant: Tenant, ticket: FeaturesTicket) -> Wish:
        version, shard = self._visibility.check_shard(tenant, ticket.dataset, ticket.images)
        self._visibility.check(tenant, recipe_name(ticket.recipe))
        recipe = self._recipe(ticket.recipe)
        if recipe.augmentation is not None:
            raise UsageError(f"recipe {ticket.recipe[:12]} is a variant's; name the one of images as they are")
        return Wish(
            tenant=tenant,
            version=version,
            shard=shard,
            plain=recipe,
            augmentation=ticket.augmentation,
            codec=ticket.codec,
            keep=ticket.keep,
        )

    def _making(self, tenant: Tenant, wish: Wish, held: ExitStack) -> Generator[Sent, None, Making]:
        if wish.held_bytes:
            yield from self._beating(lambda: held.enter_context(self._admission.hold(tenant, wish.held_bytes)))
        return held.enter_context(self._lanes.asking(wish))

    def _made(self, making: Making, tenant: Tenant, name: str, held: ExitStack) -> memoryview:
        """What was made and stored for those who wait: from memory, if it was written by this service."""
        data = making.as_stored
        if data is None:
            return self._fetch(tenant, name, held)
        held.enter_context(self._admission.hold(tenant, len(data)))
        return data

    def _fetch(self, tenant: Tenant, name: str, held: ExitStack) -> memoryview:
        """An object, in memory that is held for it."""
        size = self._store.head(name).bytes
        held.enter_context(self._admission.hold(tenant, size))
        return self._store.get(name)

    def _beating(self, work: Callable[[], _Out]) -> Generator[Sent, None, _Out]:
        """Have something done on another thread, as a whole: to hand work over costs as much as most of it."""
        return beating(self._pool, work, lambda: (_NOTHING, beside(making=[0, 0])))


def _send(data: memoryview, start: int, *, at: int | None = None, packs: bool = True) -> Iterator[Sent]:
    """Bytes from ``start`` on; ``at`` is where they begin in the object, where that is elsewhere."""
    if start > len(data):
        raise UsageError(f"byte {start:,} is asked for of {len(data):,}")
    rest = data[start:]
    about: dict[str, int] = {"bytes": len(rest), "start": start if at is None else at}
    for first in range(0, max(len(rest), 1), CHUNK_BYTES):  # one message at least, which says how long it is
        piece = rest[first : first + CHUNK_BYTES]
        packed = pack(piece) if packs else None
        if packed is not None:
            about["packed"] = len(piece)
        yield batch_of(piece if packed is None else packed), beside(**about) if about else None
        about = {}


def _rows_as_they_come(making: Making, start: int) -> Generator[Sent, None, int]:
    """Rows from ``start`` on, while they are made. Up to which row that went: all, or none where they go into the store
    only."""
    rows, recipe = making.wish.shard.rows, making.wish.recipe
    while start < rows and (making.has_rows or not making.ended):
        making.check()
        features, missing = making.take(start, _rows_at_once(recipe))
        if len(features):
            yield _packed(recipe, making.wish.shard.images, features, start, missing)
            start += len(features)
        else:
            yield _NOTHING, beside(making=[making.done, rows])
            making.wait(BEAT_S, row=start)
    making.check()
    return start


def _rows_that_are_there(rows: _Rows, recipe: Recipe, images: str, start: int) -> Iterator[Sent]:
    """The same of a shard that is stored."""
    for first in range(start, len(rows.values), _rows_at_once(recipe)):
        features = rows.values[first : first + _rows_at_once(recipe)]
        missing = sorted(row for row in rows.missing if first <= row < first + len(features))
        yield _packed(recipe, images, features, first, missing)


def _packed(recipe: Recipe, images: str, features: np.ndarray, first: int, missing: list[int]) -> Sent:
    data, about = pack_rows(features, first, missing, recipe=recipe.digest, images=images)
    return batch_of(data), beside(**about)


def _rows_at_once(recipe: Recipe) -> int:
    return max(1, CHUNK_BYTES // (4 * int(np.prod(recipe.shape))))


def _decoded(data: Any, name: str) -> _Rows:
    reader = FeatureShardReader(data, where=name)
    return _Rows(reader.features(), frozenset(missing.row for missing in reader.missing))
