"""What takes little of many objects of the store: annotations, and the beginnings of feature shards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from hapistore_format import DatasetVersion

from ..catalog.missing import MissingRows, find_missing
from ..catalog.names import parse_name, recipe_name
from ..catalog.recipes import load_recipe
from ..errors import UsageError
from ..stores import ObjectStore
from ..threads import map_ahead
from .bundle import bundle
from .tenancy.admission import Admission
from .tenancy.tenants import Tenant
from .tenancy.visibility import Visibility
from .wire import MissingTicket, ObjectsTicket

SHARDS_AT_ONCE = 256
"""Whoever has gone is waited for no longer than so many take."""
_BUNDLE_BYTES = 8 << 20
_THREADS, _AHEAD = 8, 16


class Gathering:
    """Reads them, of what a tenant may see."""

    def __init__(self, store: ObjectStore, *, visibility: Visibility, admission: Admission) -> None:
        self._store, self._visibility, self._admission = store, visibility, admission

    def objects(self, tenant: Tenant, ticket: ObjectsTicket, held: ExitStack) -> memoryview:
        """The first of the objects that a ticket names, together; in memory that is held for them.

        Raises:
            NotFound: there is no such object, or the tenant may not see it.
            UsageError: one is no annotations: other objects are larger, or asked for alone.
        """
        for name in ticket.names:
            parsed = parse_name(name)
            if parsed is None or parsed.kind != "annotations":
                raise UsageError(f"{name!r:.100} is no name of annotations; ask for it alone")
            self._visibility.check(tenant, name)
        sizes = list(_within(self._sizes(ticket.names), _BUNDLE_BYTES))
        held.enter_context(self._admission.hold(tenant, 2 * sum(sizes)))  # apart, and together
        names = ticket.names[: len(sizes)]
        found = map_ahead(self._store.get, names, threads=_THREADS, ahead=_AHEAD, name="hapistore-gather")
        return bundle(list(found))

    def find(self, tenant: Tenant, ticket: MissingTicket) -> DatasetVersion:
        """The version that a ticket names, where the tenant may read features of its recipe.

        Raises:
            NotFound, UsageError: there is none, or it may not.
        """
        version = self._visibility.check_dataset(tenant, ticket.dataset)
        self._visibility.check(tenant, recipe_name(ticket.recipe))
        return version

    def missing(self, version: DatasetVersion, ticket: MissingTicket, shards: range) -> MissingRows:
        """Rows without features of some of a version's shards.

        Raises:
            NotFound: there is no such recipe. FormatError: a feature shard is damaged.
        """
        return find_missing(self._store, version, load_recipe(self._store, ticket.recipe), ticket.codec, shards=shards)

    def _sizes(self, names: tuple[str, ...]) -> Iterator[int]:
        infos = map_ahead(self._store.head, names, threads=_THREADS, ahead=_AHEAD, name="hapistore-gather")
        return (info.bytes for info in infos)


def _within(sizes: Iterator[int], most: int) -> Iterator[int]:
    """The first one, and those behind it while all together are no more than this."""
    total = 0
    for number, size in enumerate(sizes):
        total += size
        if number and total > most:
            return
        yield size
