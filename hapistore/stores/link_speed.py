"""What the link to a store gives, measured by reading what is there."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..errors import UsageError
from .protocol import ObjectStore

_REQUESTS = 8  # at a time, as readers do
_FIRST_BYTES, _MOST_BYTES = 256 << 10, 8 << 20  # of a request
_ROUND_S, _ROUNDS = 0.3, 3
_ONE_BYTE = 7


@dataclass(frozen=True, kw_only=True)
class LinkSpeed:
    """One measurement.

    Attributes:
        bytes_per_s: the middle of the rounds; low_bytes_per_s: the slowest of them.
        delay_s: from a small request to its answer.
    """

    bytes_per_s: float
    low_bytes_per_s: float
    delay_s: float


def measure_link(store: ObjectStore, names: Sequence[str]) -> LinkSpeed:
    """Read ranges of objects, several at a time; larger ones until a round takes long enough to be measured.

    That takes about two seconds, and reads up to 0.3 GB where the link is that fast.

    Args:
        names: of objects in the store, such as image shards; parts of them are read again where they are small.

    Raises:
        UsageError: there are no objects to read. StoreError: the store cannot be reached, or an object is not there.
    """
    sizes = {name: size for name in names[:_REQUESTS] if (size := store.head(name).bytes)}
    if not sizes:
        raise UsageError("there is nothing in the store to measure the link with; say how fast it is (--link 1Gbit/s)")
    with ThreadPoolExecutor(_REQUESTS, thread_name_prefix="link") as pool:
        delay_s = _delay(store, next(iter(sizes)))
        parts, size = _Parts(store, sizes), _FIRST_BYTES
        rate, seconds = parts.round(pool, size)
        while seconds < _ROUND_S and size < _MOST_BYTES:
            size *= 2
            rate, seconds = parts.round(pool, size)
        rates = [rate, *(parts.round(pool, size)[0] for _ in range(_ROUNDS - 1))]
    return LinkSpeed(bytes_per_s=statistics.median(rates), low_bytes_per_s=min(rates), delay_s=delay_s)


def _delay(store: ObjectStore, name: str) -> float:
    """The median of some requests of a byte; the first one may have to connect."""
    seconds = []
    for _ in range(_ONE_BYTE):
        began = time.perf_counter()
        store.get_ranges(name, [(0, 1)])
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


class _Parts:
    """Ranges of objects, one behind the other, over and over."""

    def __init__(self, store: ObjectStore, sizes: dict[str, int]) -> None:
        self._store = store
        self._places = self._walk(sizes)
        self._size = _FIRST_BYTES

    def round(self, pool: ThreadPoolExecutor, size: int) -> tuple[float, float]:
        """Bytes a second, and seconds, of some requests of that size at a time."""
        self._size = size
        places = list(itertools.islice(self._places, 2 * _REQUESTS))
        began = time.perf_counter()
        read = sum(pool.map(self._read, places))
        seconds = time.perf_counter() - began
        return read / seconds, seconds

    def _read(self, place: tuple[str, int, int]) -> int:
        name, start, stop = place
        return len(self._store.get_ranges(name, [(start, stop)])[0])

    def _walk(self, sizes: dict[str, int]) -> Iterator[tuple[str, int, int]]:
        for name in itertools.cycle(sizes):
            start = 0
            while start < sizes[name]:
                stop = min(start + self._size, sizes[name])
                yield name, start, stop
                start = stop
