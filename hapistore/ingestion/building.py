"""One pass over a source: new images into shards, the rest placed where they are, or into quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import pyarrow as pa

from hapistore_format import ImageRecord, ShardRef

from ..catalog import StoredShard
from ..errors import HapistoreError, ImageError
from ..stores import ObjectStore
from .known import Decision, KnownImages
from .merging import Merge
from .offers import Columns, Offers
from .options import IngestOptions
from .parent import Parent, rebase
from .quarantine import Quarantined
from .reading import ImageReading
from .small_objects import SmallObjects
from .sources import Chunk, Listing
from .streaming import ShardStream

_REMOTE_THREADS = 32  # that wait for a store rather than work


class Pass:
    """Reads a source on top of a parent version, and stores the images which that has not.

    Attributes:
        images, bytes: usable images, and their size; quarantined: the others.
        written, present: image shards stored by this pass, and new ones that were there.
        small: annotations and reports that it stored.
    """

    def __init__(self, store: ObjectStore, parent: Parent, options: IngestOptions) -> None:
        self._store, self._parent, self._options = store, parent, options
        self._known = KnownImages(store, parent)
        self._offers = Offers(Columns(parent.annotations))
        self._stored: list[StoredShard] = []
        self.small = SmallObjects(store)
        self.quarantined: list[Quarantined] = []
        self.images = self.bytes = 0

    def read(
        self, listing: Listing, *, on_begin: Callable[[], None], on_progress: Callable[[int, int | None], None]
    ) -> None:
        """Read every image, and store what is new.

        Args:
            on_begin: called before anything is stored.

        Raises:
            UsageError: what the source says cannot be.
            HapistoreError: no image can be used, or one cannot and the options are strict; or the source is gone.
        """
        threads = max(self._options.threads, _REMOTE_THREADS) if listing.remote else self._options.threads
        reading = ImageReading(listing, threads=threads, check=self._options.check)
        groups = reading.groups(self._check(listing.chunks))
        stream = ShardStream(self._store, shard_bytes=self._options.shard_bytes, layout=self._options.layout)
        done = 0
        with closing(groups), stream:
            for group in groups:
                if not done:
                    on_begin()
                self._take(group.annotations, group.images, stream)
                done += len(group.images)
                on_progress(done, listing.records)
            for decision in self._known.finish():
                self._place(decision, stream)
            self._stored = list(stream.finish())
        if not self.images:
            raise HapistoreError(self._nothing(done))

    def shards(self, newest: Parent) -> tuple[ShardRef, ...]:
        """Shards of the version that follows ``newest``.

        Raises:
            ParentMoved: it lacks shards of the version that this pass was made on.
        """
        offered = self._offers.offered()
        if newest is not self._parent:
            offered = rebase(self._store, offered, self._parent, newest)
        merge = Merge(self.small, newest, offered, mirror=self._options.mirror)
        return (*merge.kept(), *merge.added(self._stored, self._options.layout))

    @property
    def written(self) -> int:
        return self._known.restored + sum(shard.written for shard in self._stored)

    @property
    def present(self) -> int:
        return sum(not shard.written for shard in self._stored)

    def _check(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            yield Chunk(annotations=self._offers.check(chunk.annotations), images=chunk.images)

    def _take(self, annotations: pa.Table, images: list[ImageRecord | ImageError], stream: ShardStream) -> None:
        for row, image in enumerate(images):
            if isinstance(image, ImageError):
                self._reject(annotations["key"][row].as_py(), image)
        for offer, key, record in self._offers.add(annotations, images):
            self.images += 1
            self.bytes += len(record.image)
            if self._known.is_new(key):
                self._offers.place_new(offer, *stream.add(record))
                continue
            for decision in self._known.offer(offer, key, record):
                self._place(decision, stream)

    def _reject(self, key: str, error: ImageError) -> None:
        if self._options.on_error == "fail":
            raise HapistoreError(f"image {key}: {error.detail} [{error.reason}]; nothing was committed")
        self.quarantined.append(Quarantined(key=key, reason=error.reason, detail=error.detail))

    def _place(self, decision: Decision, stream: ShardStream) -> None:
        if decision.place is None:
            self._offers.place_new(decision.offer, *stream.add(decision.record))
        else:
            self._offers.place(decision.offer, *decision.place)

    def _nothing(self, records: int) -> str:
        if not records:
            return "the source has no images, nothing was committed"
        first = self.quarantined[0]
        return (
            f"none of the {records} images can be used, nothing was committed; "
            f"the first is {first.key}: {first.detail} [{first.reason}]"
        )
