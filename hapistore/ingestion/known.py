"""Which images of a source the parent version has already, without reading more of it than that needs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hapistore_format import ImageRecord, ShardRef, shard_digest

from ..catalog import open_image_shard, store_image_shard
from ..catalog.names import images_name, images_names
from ..errors import HapistoreError, NotFound
from ..stores import ObjectStore, exists
from .parent import Parent

_HELD_BYTES = 96 << 20


class Place(NamedTuple):
    """Row of a shard; shards are counted as the parent lists them, new ones after those."""

    shard: int
    row: int


class Decision(NamedTuple):
    """Where a record's image is; None where it is nowhere yet, and must be stored."""

    offer: int
    record: ImageRecord
    place: Place | None


@dataclass
class _Waiting:
    """Records whose keys one shard has, by row, until it is known whether their images are its images."""

    offers: dict[int, tuple[int, str, ImageRecord]]
    lost: bool


class KnownImages:
    """The parent version's images, by key.

    An image shard is named by its records' digests in order. So when a source has offered all of a shard's records,
    it is known whether they are the same without a byte of the shard. Only where they are not, or a source comes in
    another order, are digests read from the store. A shard that is gone (``verify --set-aside``) is put back when all
    of its records were offered.

    Attributes:
        restored: how many image shards were put back.
    """

    def __init__(self, store: ObjectStore, parent: Parent) -> None:
        self._store, self._shards = store, parent.shards
        self._live: dict[str, Place] = {}
        self._dropped: dict[str, list[Place]] = {}
        for number, table in enumerate(parent.annotations):
            for row, (key, dropped) in enumerate(zip(*(table[n].to_pylist() for n in ("key", "dropped")), strict=True)):
                if dropped:
                    self._dropped.setdefault(key, []).append(Place(number, row))
                else:
                    self._live[key] = Place(number, row)
        self._digests: dict[int, list[bytes]] = {}
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()
        self._held_bytes = 0
        self.restored = 0

    def is_new(self, key: str) -> bool:
        """Whether the parent never had a record of this key: its image is nowhere yet."""
        return key not in self._live and key not in self._dropped

    def offer(self, offer: int, key: str, record: ImageRecord) -> Iterator[Decision]:
        """Take note of a record; whatever is decided now, of this one and of others."""
        place = self._live.get(key)
        if place is None:
            yield Decision(offer, record, self._find(key, record))
        elif place.shard in self._digests:
            yield self._compare(offer, key, record, place)
        else:
            yield from self._hold(offer, key, record, place)

    def finish(self) -> Iterator[Decision]:
        """Decide what is left.

        Raises:
            HapistoreError: a shard is lost, and this source could not bring it back.
        """
        while self._waiting:
            yield from self._release(next(iter(self._waiting)))

    def _hold(self, offer: int, key: str, record: ImageRecord, place: Place) -> Iterator[Decision]:
        shard = self._shards[place.shard]
        waiting = self._waiting.get(place.shard)
        if waiting is None:
            there = all(exists(self._store, name) for name in images_names(shard.images, shard.layout))
            waiting = self._waiting[place.shard] = _Waiting({}, lost=not there)
        waiting.offers[place.row] = offer, key, record
        self._held_bytes += len(record.image)
        if len(waiting.offers) == shard.rows:
            yield from self._release(place.shard)
        while self._held_bytes > _HELD_BYTES:
            # Of a lost shard everything is needed.
            whole = [number for number, held in self._waiting.items() if not held.lost]
            if not whole:
                return
            yield from self._release(whole[0])

    def _release(self, number: int) -> Iterator[Decision]:
        waiting, shard = self._waiting.pop(number), self._shards[number]
        rows = sorted(waiting.offers)
        records = [waiting.offers[row][2] for row in rows]
        self._held_bytes -= sum(len(record.image) for record in records)
        same = len(rows) == shard.rows and shard_digest(record.digest for record in records) == shard.images
        if waiting.lost:
            self._restore(shard, records, same)
        if same:
            self._digests[number] = [record.digest for record in records]
        for row in rows:
            yield self._compare(*waiting.offers[row], Place(number, row))

    def _restore(self, shard: ShardRef, records: list[ImageRecord], same: bool) -> None:
        if not same:
            raise HapistoreError(
                f"{images_name(shard.images, shard.layout)} is lost and this source cannot bring it back: it has "
                f"{len(records)} of its {shard.rows} images, or they changed; ingest the source it came from, as it "
                "was, or into another dataset"
            )
        self.restored += store_image_shard(self._store, records, shard.layout).written

    def _compare(self, offer: int, key: str, record: ImageRecord, place: Place) -> Decision:
        if self._load(place.shard)[place.row] == record.digest:
            return Decision(offer, record, place)
        return Decision(offer, record, self._find(key, record))

    def _find(self, key: str, record: ImageRecord) -> Place | None:
        """Among the rows that were dropped or replaced."""
        places = self._dropped.get(key, [])
        return next((place for place in places if self._load(place.shard)[place.row] == record.digest), None)

    def _load(self, number: int) -> list[bytes]:
        if number not in self._digests:
            shard = self._shards[number]
            try:
                self._digests[number] = open_image_shard(self._store, shard).record_digests()
            except NotFound:
                self._digests[number] = [b""] * shard.rows  # what is lost is no image that one could have again
        return self._digests[number]
