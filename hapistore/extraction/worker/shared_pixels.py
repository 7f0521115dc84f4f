"""One decode for all who want the same pixels: jobs that run over the same image shard with the same preprocessing.

A scan goes over rows of a shard once, a bounded window of rows at a time. Who is ahead waits for who is behind, which
costs no time where all share the same cores, and is let go when the other one pauses or ends. Who comes late joins
where the scan is, and has what it missed decoded afterwards, so that from the next shard on both are together.
"""

from __future__ import annotations

import functools
import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from hapistore_format import Augmentation, ImageShard, ShardRef

from ...catalog import open_image_shard
from ...errors import ImageError
from ...images import Preprocess
from ...stores import ObjectStore
from ..bad_images import BadImage
from ..pixels import change_of
from ..trace import Trace

# Decoded rows that a scan holds.
WINDOW_BYTES = 48 << 20
# Rows that were missed cost another decode: a scan is joined only where no more than this share is over.
_LATEST_TO_JOIN = 0.5

Item = np.ndarray | BadImage


class _Place(NamedTuple):
    """What is scanned: who wants the same of these shares a scan."""

    shard: str
    preprocess: Preprocess
    augmentation: Augmentation | None


class PixelHub:
    """Decodes for the jobs of a worker.

    Args:
        threads: images decoded at once.

    Attributes:
        decoded: images that were decoded; taken: images that were handed to jobs.
    """

    def __init__(self, store: ObjectStore, *, threads: int, window_bytes: int = WINDOW_BYTES) -> None:
        self._store, self._window_bytes = store, window_bytes
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="hapistore-decode")
        self._lock = threading.Lock()
        self._scans: dict[_Place, list[_Scan]] = {}
        self._open: WeakValueDictionary[str, _Opened] = WeakValueDictionary()
        self._opening = threading.Lock()
        self.decoded = 0
        self.taken = 0

    def close(self) -> None:
        """End the decoding threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def place_to_begin(
        self, shards: Sequence[ShardRef], preprocess: Preprocess, augmentation: Augmentation | None = None
    ) -> int:
        """Of shards, the number of one that others are at just now; 0 where there is none."""
        with self._lock:
            for number, shard in enumerate(shards):
                place = _Place(shard.images, preprocess, augmentation)
                if any(scan.joinable for scan in self._scans.get(place, ())):
                    return number
        return 0

    def sample(self, shard: ShardRef, preprocess: Preprocess, count: int, most: int) -> list[np.ndarray]:
        """Some good images from the first ``most`` of a shard, decoded for the caller alone."""
        opened = self._reader(shard, Trace())
        found: list[np.ndarray] = []
        for row in range(min(most, len(opened.reader))):
            item = opened.decode(row, preprocess, None)
            if not isinstance(item, BadImage):
                found.append(item)
            if len(found) == count:
                break
        return found

    def rows(
        self,
        shard: ShardRef,
        preprocess: Preprocess,
        trace: Trace,
        check: Callable[[], None],
        augmentation: Augmentation | None = None,
    ) -> Generator[tuple[int, Item], None, None]:
        """Every row of a shard with its pixels (uint8 [height, width, 3]), or why there are none; in any order.

        Args:
            check: called while waiting for others; what it raises ends it.
            augmentation: the variant of every image; None: the images as they are.
        """
        place = _Place(shard.images, preprocess, augmentation)
        stop = shard.rows
        while stop:
            scan, member = self._join(shard, place, stop, trace)
            try:
                begun = scan.position(member)
                yield from scan.run(member, check)
            finally:
                self._leave(scan, member)
            stop = begun  # what was over when it came

    def _join(self, shard: ShardRef, place: _Place, stop: int, trace: Trace) -> tuple[_Scan, int]:
        """A scan of the rows before ``stop`` that is under way, or a new one."""
        opened = self._reader(shard, trace)  # not under the lock: it may be fetched
        with self._lock:
            scans = self._scans.setdefault(place, [])
            for scan in scans:
                if scan.joinable and scan.stop == stop:
                    return scan, scan.join()
            window = max(1, self._window_bytes // math.prod(place.preprocess.pixel_shape))
            scan = _Scan(self._pool, opened, place, stop, window, trace)
            scans.append(scan)
            return scan, scan.join()

    def _leave(self, scan: _Scan, member: int) -> None:
        with self._lock:
            if scan.leave(member):
                self.decoded += scan.decoded
                self.taken += scan.taken
                self._scans[scan.place].remove(scan)
                if not self._scans[scan.place]:
                    del self._scans[scan.place]

    def _reader(self, shard: ShardRef, trace: Trace) -> _Opened:
        with self._opening:
            opened = self._open.get(shard.images)
            if opened is None:
                with trace.span("fetch", shard=shard.images[:12]):
                    opened = self._open[shard.images] = _Opened(open_image_shard(self._store, shard))
            return opened


class _Opened:
    """An image shard, as long as somebody reads it."""

    def __init__(self, reader: ImageShard) -> None:
        self.reader = reader

    @functools.cached_property
    def digests(self) -> list[bytes]:
        """Of its records, raw."""
        return self.reader.record_digests()

    def decode(self, row: int, preprocess: Preprocess, augmentation: Augmentation | None) -> Item:
        """Pixels of a row."""
        change = change_of(augmentation, self.digests[row]) if augmentation else None
        try:
            (pixels,) = preprocess.variants(self.reader.image(row), [change])
            return pixels
        except ImageError as error:
            return BadImage(error.reason, error.detail)


class _Scan:
    """The rows of a shard before ``stop``, decoded as its members take them.

    Attributes:
        base: the first row that somebody has not taken.
    """

    def __init__(
        self, pool: ThreadPoolExecutor, opened: _Opened, place: _Place, stop: int, window: int, trace: Trace
    ) -> None:
        self._pool, self._opened, self._trace = pool, opened, trace
        self.place, self.stop, self.base = place, stop, 0
        self.decoded = self.taken = 0
        self._window = window
        self._pending: deque[Future[Item]] = deque()
        self._at: dict[int, int] = {}
        self._members = 0
        self._changed = threading.Condition()

    @property
    def joinable(self) -> bool:
        """Whether enough of it is to come."""
        return self.base <= _LATEST_TO_JOIN * self.stop

    def join(self) -> int:
        """A new member, which takes from ``base`` on."""
        with self._changed:
            self._members += 1
            self._at[self._members] = self.base
            return self._members

    def position(self, member: int) -> int:
        """The row that a member takes next."""
        with self._changed:
            return self._at[member]

    def leave(self, member: int) -> bool:
        """Others wait for it no more. Whether it was the last."""
        with self._changed:
            del self._at[member]
            if self._at:
                self._advance()
            else:
                for future in self._pending:
                    future.cancel()
            return not self._at

    def run(self, member: int, check: Callable[[], None]) -> Iterator[tuple[int, Item]]:
        """A member's rows."""
        for row in range(self.position(member), self.stop):
            future = self._future(row, check)
            item = future.result()
            with self._changed:
                self._at[member] = row + 1
                self.taken += 1
                self._advance()
            yield row, item

    def _future(self, row: int, check: Callable[[], None]) -> Future[Item]:
        with self._changed:
            while row - self.base >= self._window:
                check()
                self._changed.wait(0.5)
            while self.base + len(self._pending) < min(self.stop, self.base + self._window):
                self._pending.append(self._pool.submit(self._decode, self.base + len(self._pending)))
                self.decoded += 1
            return self._pending[row - self.base]

    def _decode(self, row: int) -> Item:
        with self._trace.span("decode"):
            return self._opened.decode(row, self.place.preprocess, self.place.augmentation)

    def _advance(self) -> None:
        """Let go of rows that all have taken."""
        first = min(self._at.values())
        while self.base < first and self._pending:
            self._pending.popleft()
            self.base += 1
        self._changed.notify_all()
