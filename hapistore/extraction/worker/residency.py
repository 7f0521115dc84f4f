"""What of the budget is really taken: by jobs that run, and by prefixes that stay loaded after them.

A plan says what each job may take from its next extraction batch on; until then it has what it had. So whoever starts
or grows first takes hold of the memory here, and waits until it is there. Loaded prefixes that nobody uses give way,
the least recently used first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol


class Closable(Protocol):
    """What stays loaded."""

    def close(self) -> None: ...


class _Warm(NamedTuple):
    key: Hashable
    loaded: Closable
    bytes: int


class Residency:
    """Accounts for one budget. Safe from any thread.

    Attributes:
        most_bytes: the highest that was taken at any time, loaded prefixes included.
        evicted: how many loaded prefixes had to give way.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._held: dict[str, int] = {}
        self._warm: list[_Warm] = []  # the least recently used first
        self._changed = threading.Condition()
        self._waiting = 0
        self.most_bytes = 0
        self.evicted = 0

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for memory."""
        return self._waiting > 0

    @property
    def taken_bytes(self) -> int:
        """By jobs and by loaded prefixes."""
        return sum(self._held.values()) + sum(warm.bytes for warm in self._warm)

    def resize(self, budget_bytes: int) -> None:
        """The budget is another from now on; what is loaded and unused gives way, what is held stays."""
        with self._changed:
            self._budget = budget_bytes
            self._make_room(0)
            self._changed.notify_all()

    def hold(self, job: str, count: int, *, check: Callable[[], None] | None = None) -> bool:
        """Take hold of so many bytes in place of what a job has; less is always had at once.

        Args:
            check: called while waiting for memory, now and then; what it raises ends the wait. None: don't wait.

        Returns:
            whether they were had; False only without ``check``.
        """
        with self._changed:
            more = count - self._held.get(job, 0)
            while more > 0 and not (self._could_have(more) and self._make_room(more)):
                if check is None:
                    return False
                check()
                self._waiting += 1
                self._changed.wait(0.2)
                self._waiting -= 1
            self._held[job] = count
            self.most_bytes = max(self.most_bytes, self.taken_bytes)
            self._changed.notify_all()
            return True

    def release(self, job: str) -> None:
        """A job has ended, and nothing of it stays."""
        with self._changed:
            self._held.pop(job, None)
            self._changed.notify_all()

    def keep(self, job: str, key: Hashable, loaded: Closable, count: int) -> None:
        """A job has ended; what it had loaded stays as long as there is room for it."""
        with self._changed:
            self._held.pop(job, None)
            self._warm.append(_Warm(key, loaded, count))
            self._make_room(0)
            self.most_bytes = max(self.most_bytes, self.taken_bytes)
            self._changed.notify_all()

    def take(self, key: Hashable) -> Closable | None:
        """Something loaded, for a job that holds its memory already; None where there is none."""
        with self._changed:
            for warm in reversed(self._warm):
                if warm.key == key:
                    self._warm.remove(warm)
                    self._changed.notify_all()
                    return warm.loaded
            return None

    def is_loaded(self, key: Hashable) -> bool:
        """Whether ``take`` would find something."""
        with self._changed:
            return any(warm.key == key for warm in self._warm)

    def close(self) -> None:
        """Give back all that is loaded and unused."""
        with self._changed:
            while self._warm:
                self._warm.pop(0).loaded.close()
            self._changed.notify_all()

    def _could_have(self, count: int) -> bool:
        """Whether so many more would fit with nothing loaded and unused."""
        return sum(self._held.values()) + count <= self._budget

    def _make_room(self, count: int) -> bool:
        """Whether there is room for so many bytes more, after what is unused has given way as far as is needed."""
        while self.taken_bytes + count > self._budget and self._warm:
            self._warm.pop(0).loaded.close()
            self.evicted += 1
        return self.taken_bytes + count <= self._budget
