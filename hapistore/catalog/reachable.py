"""What versions reach: the objects that gc leaves alone. Digests are kept as bytes, for stores of a million objects."""

from __future__ import annotations

from collections.abc import Iterator

from hapistore_format import DatasetVersion

from ..errors import NotFound
from ..stores import ObjectStore
from ..threads import map_ahead
from .datasets import read_version
from .names import DATASETS, ParsedName, parse_name
from .references import version_objects

_THREADS, _AHEAD = 8, 16


class Reachable:
    """Everything named by versions that are open, or that expired after a moment.

    What was reached once stays so: a version that expires meanwhile is still being read by somebody.

    Args:
        cutoff_s: that moment, by the store's clock.

    Attributes:
        versions: how many versions reach something; expired: how many do not any more.
    """

    def __init__(self, store: ObjectStore, cutoff_s: float) -> None:
        self._store, self._cutoff_s = store, cutoff_s
        self._read: set[tuple[str, int]] = set()
        self._named: set[bytes] = set()
        self._images: set[bytes] = set()
        self.expired = 0

    @property
    def versions(self) -> int:
        return len(self._read)

    def refresh(self) -> list[DatasetVersion]:
        """Read the versions that were not read before, and return them.

        Raises:
            FormatError: one is damaged, so that it is not known what it names.
        """
        new, self.expired = self._unread()
        versions = []
        for version in map_ahead(self._load, new, threads=_THREADS, ahead=_AHEAD, name="hapistore-mark"):
            self._mark(version)
            versions.append(version)
        for dataset, number in self._behind_the_listing():
            version = read_version(self._store, dataset, number)
            self._mark(version)
            versions.append(version)
        return versions

    def holds(self, parsed: ParsedName) -> bool:
        """Whether a version names this object or, of features, their image shard."""
        if parsed.kind == "features":
            return bytes.fromhex(parsed.parts["images"]) in self._images
        return object_key(parsed) in self._named

    def _load(self, which: tuple[str, int]) -> DatasetVersion:
        return read_version(self._store, *which)

    def _unread(self) -> tuple[list[tuple[str, int]], int]:
        """Versions that are listed, open and not read yet; and how many expired before the cutoff."""
        gone: set[tuple[str, int]] = set()
        new = []
        self._highest: dict[str, int] = {}
        for info in self._store.list(DATASETS):  # a dataset's markers come before its versions
            parsed = parse_name(info.name)
            if parsed is None or parsed.kind not in ("expiry", "version"):
                continue
            which = (parsed.parts["dataset"], int(parsed.parts["number"]))
            if parsed.kind == "expiry":
                if info.modified < self._cutoff_s:
                    gone.add(which)
                continue
            self._highest[which[0]] = which[1]
            if which not in gone and which not in self._read:
                new.append(which)
        return new, len(gone)

    def _behind_the_listing(self) -> Iterator[tuple[str, int]]:
        """Versions committed since the listing came by; numbers have no gaps."""
        for dataset, number in self._highest.items():
            while True:
                number += 1
                try:
                    read_version(self._store, dataset, number)
                except NotFound:
                    break
                if (dataset, number) not in self._read:
                    yield dataset, number

    def _mark(self, version: DatasetVersion) -> None:
        self._read.add((version.dataset, version.number))
        self._images.update(bytes.fromhex(shard.images) for shard in version.shards)
        for name in version_objects(version):
            parsed = parse_name(name)
            if parsed is None:
                raise AssertionError(f"{name} is made by names.py and not understood by it")
            self._named.add(object_key(parsed))


def object_key(parsed: ParsedName) -> bytes:
    """An object that versions name, in few bytes: equal keys are equal names."""
    kind = {"images": parsed.parts.get("layout", "")[:1], "seal": "s", "annotations": "t"}.get(parsed.kind, "")
    if kind:
        return kind.encode() + bytes.fromhex(parsed.parts["digest"])
    return "/".join([parsed.kind, *parsed.parts.values()]).encode()
