"""What of a store a tenant may see. What it may not see does not exist for it: the error is the same, to the letter."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from hapistore_format import DatasetVersion, ShardRef
from hapistore_format.digests import is_digest
from hapistore_format.version import is_dataset_name

from ...catalog.collecting import GcOptions
from ...catalog.datasets import latest_version, parse_dataset
from ...catalog.names import ParsedName, parse_name
from ...errors import NotFound, StoreError, UsageError
from ...stores import ObjectInfo, ObjectStore
from ...stores.protocol import check_name
from .listed import OpenedVersion
from .looking import OnceInAWhile
from .scope import Scope, Shelf
from .tenants import Tenant

_MOST_NAME = 1024
_MOST_LABEL = 120
_RELOOK_EVERY_S = 1.0
_MOST_VERSIONS = 64
_MOST_REGISTERED = 10_000


class Visibility:
    """Answers from memory, and looks into the store again before it says no. Thread-safe.

    A confined tenant sees the store's marker; versions, their markers of expiry and reports of the datasets it is
    confined to; images and annotations that those versions list; features of those images, and recipes that have such
    features or that it registered itself; no weights. It may have the store looked into once a second, however many
    names it guesses; what is denied till then is denied.

    Args:
        look_every_s: how long what was found out is believed.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        look_every_s: float = 30.0,
        grace_s: float = GcOptions().grace_s,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._look_every_s, self._grace_s, self._clock = store, look_every_s, grace_s, clock
        self._lock = threading.Lock()  # of the dictionaries below; never held while the store is read
        self._shelf = Shelf(store, grace_s=grace_s, clock=clock)
        self._scopes: dict[tuple[str, ...], Scope] = {}
        self._opened: OrderedDict[tuple[str, int], OpenedVersion] = OrderedDict()
        self._registered: dict[str, OrderedDict[bytes, None]] = {}
        self._relooks = OnceInAWhile(_RELOOK_EVERY_S, clock=clock)

    def check(self, tenant: Tenant, name: str) -> None:
        """Let a tenant read an object of this name, whether there is one or not.

        Raises:
            NotFound: it may not, or it is no name of an object of hapistore's.
            StoreError: the store could not be looked into.
        """
        parsed = _parse(name)
        if parsed is None or not self._visible(tenant, parsed):
            raise no_object(name)

    def filter(self, tenant: Tenant, infos: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        """What of a listing a tenant may see, in its order. Nothing is read for an object."""
        if tenant.datasets is None:
            yield from (info for info in infos if parse_name(info.name))
            return
        scope = self._scope(tenant.datasets)
        scope.images.fresh(lambda: self._relooks.may(f"images {tenant.name}"))
        scope.images.recent(self._look_every_s)
        looked = False
        for info in infos:
            parsed = _parse(info.name)
            if parsed is None:
                continue
            if parsed.kind == "recipe" and not looked:
                scope.recipes.fresh(lambda: self._relooks.may(f"recipes {tenant.name}"))
                scope.recipes.recent(self._look_every_s)
                looked = True
            if parsed.kind == "features" and scope.holds(parsed):
                scope.witness(parsed)  # so its recipe has features of a shard that may be seen
            if self._known(tenant, scope, parsed):
                yield info

    def check_shard(self, tenant: Tenant, dataset_label: str, images: str) -> tuple[DatasetVersion, ShardRef]:
        """The version and the image shard of it that a ticket names.

        Args:
            dataset_label: ``pets@7``, or ``pets`` for the newest, which is probed for; images: digest of the shard.

        Raises:
            NotFound: there is no such version, it does not list the shard, or the tenant may not know.
            UsageError: it is no label, no digest; or the version is expired, and its images about to be removed.
        """
        if not is_digest(images):
            raise UsageError(f"{images!r:.80} is no digest of an image shard: 64 lower-case hexadecimal digits")
        opened = self._open_for(tenant, dataset_label)
        place = opened.find(images) if opened else None
        if opened is None or place is None:
            raise NotFound(f"there is no image shard {images} in {dataset_label}")
        version = _still_open(opened)
        return version, version.shards[place]

    def check_dataset(self, tenant: Tenant, dataset_label: str) -> DatasetVersion:
        """The version that ``pets@7`` or ``pets`` (the newest) names.

        Raises:
            NotFound: there is none, or the tenant may not know. What the catalog says then names other datasets.
            UsageError: it is no label, or the version is expired, and its images about to be removed.
        """
        opened = self._open_for(tenant, dataset_label)
        if opened is None:
            raise NotFound(f"there is no dataset version {dataset_label}")
        return _still_open(opened)

    def registered(self, tenant: Tenant, recipe_digest: str) -> None:
        """Let a tenant see a recipe that it has just registered: it has no features yet. Forgotten at a restart."""
        with self._lock:
            mine = self._registered.setdefault(tenant.name, OrderedDict())
            mine[bytes.fromhex(recipe_digest)] = None
            mine.move_to_end(bytes.fromhex(recipe_digest))
            if len(mine) > _MOST_REGISTERED:
                mine.popitem(last=False)

    def _visible(self, tenant: Tenant, parsed: ParsedName) -> bool:
        if tenant.datasets is None:
            return True
        scope = self._scope(tenant.datasets)
        if parsed.kind in ("images", "seal", "annotations", "features"):
            looked = scope.images.recent(self._look_every_s)
            if not scope.holds(parsed):
                if not looked:
                    scope.images.fresh(lambda: self._relooks.may(f"images {tenant.name}"))
                if not scope.holds(parsed):
                    return False
        if parsed.kind in ("features", "recipe") and not self._known(tenant, scope, parsed):
            scope.look_for(_recipe_of(parsed))
            scope.recipes.fresh(lambda: self._relooks.may(f"recipes {tenant.name}"))
        return self._known(tenant, scope, parsed)

    def _known(self, tenant: Tenant, scope: Scope, parsed: ParsedName) -> bool:
        """Whether a tenant may see an object, from memory. What is not named here is not seen."""
        if parsed.kind in ("version", "expiry", "quarantine"):
            dataset = parsed.parts["dataset"]
            return is_dataset_name(dataset) and tenant.allows(dataset)
        if parsed.kind in ("images", "seal", "annotations"):
            return scope.holds(parsed)
        if parsed.kind == "features" and not scope.holds(parsed):
            return False
        if parsed.kind in ("features", "recipe"):
            recipe = _recipe_of(parsed)
            with self._lock:
                own = recipe in self._registered.get(tenant.name, ())
            return own or scope.knows_recipe(recipe)
        return parsed.kind == "marker"

    def _scope(self, patterns: tuple[str, ...]) -> Scope:
        with self._lock:
            if patterns not in self._scopes:
                self._scopes[patterns] = Scope(self._shelf, patterns, look_every_s=self._look_every_s)
            return self._scopes[patterns]

    def _open_for(self, tenant: Tenant, label: str) -> OpenedVersion | None:
        if len(label) > _MOST_LABEL:
            raise UsageError(f"{label[:40]!r}… is no dataset version; write it like pets@7")
        dataset, number = parse_dataset(label)
        return self._open(dataset, number) if tenant.allows(dataset) else None

    def _open(self, dataset: str, number: int | None) -> OpenedVersion | None:
        if number is None:
            newest = latest_version(self._store, dataset)
            if newest is None:
                return None
            number = newest.number
        with self._lock:
            opened = self._opened.get((dataset, number))
            if opened is None:
                opened = OpenedVersion(self._store, dataset, number, grace_s=self._grace_s, clock=self._clock)
                self._opened[dataset, number] = opened
                if len(self._opened) > _MOST_VERSIONS:
                    self._opened.popitem(last=False)
            self._opened.move_to_end((dataset, number))
        try:
            opened.looks.recent(self._look_every_s)
        except NotFound:
            with self._lock:
                if self._opened.get((dataset, number)) is opened:
                    del self._opened[dataset, number]
            return None
        return opened


def _still_open(opened: OpenedVersion) -> DatasetVersion:
    version = opened.version
    if version is None:
        raise AssertionError("a version that was not read is not handed out")
    if opened.expired is not None:
        raise UsageError(
            f"{version.label} expired on {opened.expired}; hapistore rollback {version.label} restores it "
            "until gc removes its images"
        )
    return version


def no_object(name: str) -> NotFound:
    """The error for what is not there, and for what is hidden. Stores of a machine say the same."""
    return NotFound(f"there is no object {name if _is_name(name) else repr(name[:200])}")


def _parse(name: str) -> ParsedName | None:
    """What an object of hapistore's is; None for all other names, such as lead out of a store."""
    return parse_name(name) if _is_name(name) else None


def _is_name(name: str) -> bool:
    if len(name) > _MOST_NAME:
        return False
    try:
        return bool(check_name(name))
    except StoreError:  # which is all that it says
        return False


def _recipe_of(parsed: ParsedName) -> bytes:
    return bytes.fromhex(parsed.parts["recipe" if parsed.kind == "features" else "digest"])
