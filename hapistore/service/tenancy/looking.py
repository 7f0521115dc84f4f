"""Looking into a store again: one at a time, shared by all who wait for it, and no more often than is allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait


def _always() -> bool:
    return True


class Looks:
    """Runs a look for whoever needs one. No lock is held while it runs: others go on with what was seen before.

    Args:
        look: reads the store, and changes what was seen.
    """

    def __init__(self, look: Callable[[], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._look, self._clock = look, clock
        self._lock = threading.Lock()
        self._begun = 0  # looks so far; the last of them is `_last`
        self._last: Future[None] | None = None
        self._seen_at: float | None = None

    def fresh(self, may: Callable[[], bool] = _always) -> bool:
        """Have a look that begins after this call, or share one; where that is not allowed, wait for the one that runs.

        Args:
            may: is asked right before a look would begin.

        Returns:
            Whether there was such a look.

        Raises:
            HapistoreError: the look failed; all who share it are told, and who may not have another.
        """
        with self._lock:
            needed = self._begun + 1
        return self._share(needed, may)

    def recent(self, age_s: float) -> bool:
        """Have a look where the last is older than this, unless somebody has it already; whether there was a fresh one.

        Who comes before the first look is over waits for it.
        """
        with self._lock:
            seen_at, running = self._seen_at, self._last is not None and not self._last.done()
            begun = self._begun
        if seen_at is None:
            return self._share(begun if running else begun + 1, _always) and not running
        if running or self._clock() - seen_at <= age_s:
            return False
        return self._share(begun + 1, _always)

    def _share(self, needed: int, may: Callable[[], bool]) -> bool:
        """Have the look of that number, or a later one, begun here or by another."""
        while True:
            with self._lock:
                last = self._last
                shared = self._begun >= needed
                if last is None or (last.done() and not shared):
                    if not may():
                        if last is not None:
                            last.result()  # one that failed is no answer, and nothing else may be said now
                        return False
                    last = self._last = Future()
                    self._begun += 1
                    mine = True
                else:
                    mine = False
            if mine:
                self._run(last)
                return True
            wait([last])
            if shared:
                last.result()
                return True

    def _run(self, future: Future[None]) -> None:
        began = self._clock()
        try:
            self._look()
        except BaseException as error:
            future.set_exception(error)
            raise
        with self._lock:
            self._seen_at = began
        future.set_result(None)


class OnceInAWhile:
    """Allows one thing a key in a time; the rest is denied.

    Args:
        every_s: that time.
    """

    def __init__(self, every_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._clock = every_s, clock
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def may(self, key: str) -> bool:
        """Whether it may be done now; then it counts as done."""
        now = self._clock()
        with self._lock:
            last = self._last.get(key)
            if last is not None and now - last < self._every_s:
                return False
            self._last[key] = now
            return True
