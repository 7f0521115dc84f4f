"""One throttle for all requests of a process: it backs off when a store says so, and recovers when that stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_FIRST_GAP_S, _LONGEST_GAP_S = 0.01, 2.0
_FASTER = 0.9  # of the gap, after a request that succeeded
_NO_GAP_S = 0.001


class Throttle:
    """Spaces requests out: by nothing at first, by ever more while a store refuses, by less with every success.

    Additive pauses, multiplicative gaps: thousands of threads that all wait the same second would only come back
    together.

    Args:
        clock, sleep: seconds; for tests.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next_start = 0.0
        self._gap_s = 0.0

    @property
    def gap_s(self) -> float:
        """Seconds between the starts of two requests."""
        return self._gap_s

    def wait(self) -> None:
        """Return when the next request may start."""
        with self._lock:
            now = self._clock()
            start = max(now, self._next_start)
            self._next_start = start + self._gap_s
        if start > now:
            self._sleep(start - now)

    def slow_down(self, pause_s: float) -> None:
        """A store refused a request as one too many; no request starts for so long, and then at twice the distance."""
        with self._lock:
            self._gap_s = min(_LONGEST_GAP_S, max(_FIRST_GAP_S, 2 * self._gap_s))
            self._next_start = max(self._next_start, self._clock() + pause_s)

    def speed_up(self) -> None:
        """A request succeeded."""
        if not self._gap_s:  # nearly always; a lock would be one more thing to wait for
            return
        with self._lock:
            gap = self._gap_s * _FASTER
            self._gap_s = gap if gap >= _NO_GAP_S else 0.0


OF_THIS_PROCESS = Throttle()
"""A link and an account are shared by all stores of a process, and so is this."""
