"""What the versions of one dataset list, in memory: digests as bytes, each version read once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from hapistore_format import DatasetVersion
from hapistore_format.version import is_dataset_name

from ...catalog.datasets import find_expiry, highest_number, read_version
from ...catalog.names import DATASETS, ParsedName, expiry_name, parse_name, version_name
from ...catalog.reachable import object_key
from ...catalog.references import version_objects
from ...errors import FormatError, NotFound
from ...stores import ObjectStore, exists
from ...stores.clock import store_now_s
from ...threads import map_ahead
from .looking import Looks

_THREADS, _AHEAD = 8, 16
_log = logging.getLogger(__name__)


def find_datasets(store: ObjectStore, allowed: Callable[[str], bool]) -> list[str]:
    """Names of datasets, sorted; one listing each, that ends at its first object, however many versions there are."""
    found: list[str] = []
    after = ""
    while True:
        info = next(iter(store.list(DATASETS, after=after)), None)
        if info is None:
            return found
        name, slash, _ = info.name.removeprefix(DATASETS).partition("/")
        if slash and is_dataset_name(name) and allowed(name):
            found.append(name)
        after = f"{DATASETS}{name}0" if slash else info.name  # '0' is what comes after '/'


class Listed:
    """Objects that versions of a dataset list. Thread-safe.

    A version counts until it is expired for longer than the grace of ``gc``: till then somebody may be reading it, and
    whoever reads the store itself still can.

    Attributes:
        looks: finds new versions.
    """

    def __init__(self, store: ObjectStore, dataset: str, *, grace_s: float, clock: Callable[[], float]) -> None:
        self._store, self._dataset, self._grace_s = store, dataset, grace_s
        self.looks = Looks(self._look, clock=clock)
        self._read: set[int] = set()
        self._highest = 0
        self._named: set[bytes] = set()
        self._images: set[bytes] = set()

    def holds(self, parsed: ParsedName) -> bool:
        """Whether a version lists this object or, of features, their image shard."""
        if parsed.kind == "features":
            return bytes.fromhex(parsed.parts["images"]) in self._images
        return object_key(parsed) in self._named

    def lists_images(self, digest: bytes) -> bool:
        return digest in self._images

    def _look(self) -> None:
        """One at a time. Others read the sets meanwhile, and these only grow, or are exchanged."""
        gone = self._long_expired()
        highest = self._highest or highest_number(self._store, self._dataset)
        while highest and exists(self._store, version_name(self._dataset, highest + 1)):
            highest += 1
        wanted = set(range(1, highest + 1)) - gone
        if self._read & gone:  # rare; a set for each version would cost more memory than the reading costs time
            named, images, read = set[bytes](), set[bytes](), set[int]()
        else:
            named, images, read = self._named, self._images, self._read
        for version in map_ahead(
            self._load, sorted(wanted - read, reverse=True), threads=_THREADS, ahead=_AHEAD, name="hapistore-listed"
        ):
            if version is not None:
                images.update(bytes.fromhex(shard.images) for shard in version.shards)
                named.update(_keys(version_objects(version)))
                read.add(version.number)
        self._named, self._images, self._read, self._highest = named, images, read, highest

    def _load(self, number: int) -> DatasetVersion | None:
        """A version that cannot be read lists nothing; the others do."""
        try:
            return read_version(self._store, self._dataset, number)
        except (FormatError, NotFound) as error:
            _log.error("%s@%d cannot be read, tenants do not see what it lists: %s", self._dataset, number, error)
            return None

    def _long_expired(self) -> set[int]:
        prefix = expiry_name(self._dataset, 1).rpartition("/")[0] + "/"
        marked = [(info.modified, parse_name(info.name)) for info in self._store.list(prefix)]
        if not marked:
            return set()
        cutoff = store_now_s(self._store) - self._grace_s
        return {int(parsed.parts["number"]) for modified, parsed in marked if parsed and modified < cutoff}


def _keys(names: Iterable[str]) -> Iterable[bytes]:
    for name in names:
        parsed = parse_name(name)
        if parsed is None:
            raise AssertionError(f"{name} is made by names.py and not understood by it")
        yield object_key(parsed)


class OpenedVersion:
    """One version, read once, and where its shards stand in it. Thread-safe.

    Attributes:
        looks: reads it, and whether it is expired. version: once that was done.
        expired: since when, if that is longer ago than the grace of ``gc``.
    """

    def __init__(
        self,
        store: ObjectStore,
        dataset: str,
        number: int,
        *,
        grace_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._which, self._grace_s = store, (dataset, number), grace_s
        self.looks = Looks(self._look, clock=clock)
        self.version: DatasetVersion | None = None
        self.expired: str | None = None
        self._places: dict[bytes, int] = {}

    def find(self, images: str) -> int | None:
        """The shard's place in the version."""
        return self._places.get(bytes.fromhex(images))

    def _look(self) -> None:
        if self.version is None:
            version = read_version(self._store, *self._which)
            self._places = {bytes.fromhex(shard.images): place for place, shard in enumerate(version.shards)}
            self.version = version
        expiry = find_expiry(self._store, *self._which)
        if expiry is not None:
            age_s = store_now_s(self._store) - self._store.head(expiry_name(*self._which)).modified
            self.expired = expiry.expired if age_s > self._grace_s else None
