"""Things that are opened once for all threads, ahead of their use, and kept while there is memory for them."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

import numpy as np

_Thing = TypeVar("_Thing")
# One request at a time leaves a slow link idle between them.
_OPENERS = 8


class _Opening(NamedTuple):
    future: Future[object]
    begun: float


class Residents(Generic[_Thing]):
    """Numbered things, least recently used first out.

    They outlive a fork unless told not to; the threads that open them never do: a child process begins its own.

    Args:
        open_one: opens one; called by several threads at a time, each for another.
        sizes: int64 [things], bytes of each when it is open; size_of: the same of one that is, where it can be less.
        memory_bytes: how much of them is kept; one at least is.
        on_open, on_evict: are called for each that comes or goes, while `locked`; on_gone: afterwards, not locked.
        on_full: is called when some went for lack of memory.
    """

    def __init__(
        self,
        open_one: Callable[[int], _Thing],
        sizes: np.ndarray,
        *,
        memory_bytes: int,
        on_open: Callable[[int, _Thing], None] = lambda number, thing: None,
        on_evict: Callable[[int], None] = lambda number: None,
        on_gone: Callable[[_Thing], None] = lambda thing: None,
        on_full: Callable[[], None] = lambda: None,
        size_of: Callable[[int, _Thing], int] | None = None,
        outlive_fork: bool = True,
    ) -> None:
        self._open_one, self._on_open, self._on_evict = open_one, on_open, on_evict
        self._on_gone, self._on_full = on_gone, on_full
        self.sizes, self.memory_bytes = sizes, memory_bytes
        self._size_of = size_of or (lambda number, thing: int(sizes[number]))
        self._outlive_fork = outlive_fork
        self._open: OrderedDict[int, _Thing] = OrderedDict()
        # What each took when it came: it must be what is given back.
        self._taken: dict[int, int] = {}
        self._bytes = 0
        self._begin_process()

    def _begin_process(self) -> None:
        self._process, self._lock = os.getpid(), threading.Lock()
        self._opening: dict[int, _Opening] = {}
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nothing comes or goes meanwhile."""
        if self._process != os.getpid():
            self._begin_process()
            if not self._outlive_fork:
                self._evict_all()  # what is the parent's goes with the parent
        with self._lock:
            yield

    @property
    def all_open(self) -> bool:
        """Whether every one is; it may not last where memory is short."""
        return len(self._open) == len(self.sizes)

    def get(self, number: int) -> _Thing:
        """One of them, opened where it is not; raises what opening it raises."""
        with self.locked():
            if number in self._open:
                return self.touch(number)
            future = self.begin(number)
        return future.result()

    def peek(self, number: int) -> _Thing:
        """One that is open, while `locked`, and no reason to keep it: what is used may be done with now, and what was
        prefetched is still to come."""
        return self._open[number]

    def touch(self, number: int) -> _Thing:
        """One that is open, used now; while `locked`."""
        self._open.move_to_end(number)
        return self._open[number]

    def begin(self, number: int) -> Future[_Thing]:
        """One that is being opened, or is; while `locked`."""
        if number in self._open:
            done: Future[_Thing] = Future()
            done.set_result(self.touch(number))
            return done
        opening = self._opening.get(number)
        if opening is None:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_OPENERS, thread_name_prefix="hapistore-open")
            opening = self._opening[number] = _Opening(self._pool.submit(self._read, number), time.monotonic())
        return opening.future  # type: ignore[return-value]

    def prefetch(self, numbers: np.ndarray) -> None:
        """Begin to open those that are not open, int64 [k].

        Where there is no memory besides what is open, what has not been asked for longest goes for them, up to half of
        the memory; not where they take more than that together: to open one would be to evict another of them.
        """
        wanted = list(dict.fromkeys(numbers.tolist()))
        most = self.memory_bytes // 2
        replaced = most if int(self.sizes[wanted].sum()) <= most else 0
        with self.locked():
            opening = sum(int(self.sizes[number]) for number in self._opening)
            for number in wanted:
                if number in self._open:
                    self.touch(number)
                elif number not in self._opening:
                    opening += int(self.sizes[number])
                    if opening > max(self.memory_bytes - self._bytes, replaced):
                        return
                    self.begin(number)

    def fit_ahead(self, numbers: Sequence[np.ndarray]) -> bool:
        """Whether all of these (int64 [k] each) may be open ahead of their use, in a third of the memory."""
        needed = np.zeros(len(self.sizes), bool)
        for some in numbers:
            needed[some] = True
        return int(self.sizes[needed].sum()) <= self.memory_bytes // 3

    def groups(self, numbers: np.ndarray) -> Iterator[list[int]]:
        """Some of them, so many at a time as there is memory for."""
        group: list[int] = []
        taken = 0
        for number in numbers.tolist():
            taken += int(self.sizes[number])
            if group and taken > self.memory_bytes:
                yield group
                group, taken = [], int(self.sizes[number])
            group.append(number)
        if group:
            yield group

    def opening(self) -> list[tuple[int, float]]:
        """Those that are being opened, and for how many seconds."""
        now = time.monotonic()
        with self.locked():
            return [(number, now - opening.begun) for number, opening in self._opening.items()]

    def close(self) -> None:
        """End the threads; what is asked for later begins new ones."""
        with self.locked():
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def let_go(self) -> None:
        """Keep none of them; what is asked for later is opened again."""
        with self.locked():
            gone = self._evict_all()
        while gone:
            self._on_gone(gone.pop())

    def _evict_all(self) -> list[_Thing]:
        return [self._evict() for _ in range(len(self._open))]

    def _evict(self) -> _Thing:
        """The one that has not been used longest, while `locked`."""
        number, thing = self._open.popitem(last=False)
        self._bytes -= self._taken.pop(number)
        self._on_evict(number)
        return thing

    def _read(self, number: int) -> _Thing:
        try:
            thing = self._open_one(number)
        except BaseException:
            with self._lock:  # the next one tries again
                self._opening.pop(number, None)
            raise
        with self._lock:
            self._open[number] = thing
            self._taken[number] = self._size_of(number, thing)
            self._bytes += self._taken[number]
            self._opening.pop(number, None)
            self._on_open(number, thing)
            gone = []
            while self._bytes > self.memory_bytes and len(self._open) > 1:
                gone.append(self._evict())
        if gone:
            self._on_full()
        while gone:
            self._on_gone(gone.pop())
        return thing
