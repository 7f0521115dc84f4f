"""Whose forward pass is next, where more jobs run than forward passes pay at once.

On two cores two passes at once were up to a fifth faster than the same in turn, and a third one only took memory
bandwidth from the others. Turns are fair by tenants' weights in seconds of work (start-time fair queueing, as for
admission): what a tenant has used counts, not how many jobs it has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...planning import FairState

AT_ONCE = 2


class Turns:
    """Lets so many pass at once.

    Args:
        at_once: forward passes at the same time, at least 1.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = at_once
        self._changed = threading.Condition()
        self._fair = FairState()
        self._waiting: list[tuple[float, int]] = []
        self._arrivals = 0

    @contextmanager
    def turn(
        self, tenant: str, *, weight: float, seconds: float, check: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """Wait for one's turn, and have it.

        Args:
            seconds: what it will likely take, above 0.
            check: called while waiting, now and then; what it raises ends the wait.
        """
        with self._changed:
            self._fair, tag = self._fair.arrive(tenant, weight=weight, cost=seconds)
            mine = tag, self._arrivals
            self._arrivals += 1
            self._waiting.append(mine)
            try:
                while not (self._free and mine == min(self._waiting)):
                    check()
                    self._changed.wait(0.5)
            finally:
                self._waiting.remove(mine)
                self._changed.notify_all()
            self._fair = self._fair.admit(tag)
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()
