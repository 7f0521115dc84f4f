"""Memory that is used again and again: taking fresh memory costs as much as reading a file into it."""

from __future__ import annotations

import mmap
import sys
import threading

import numpy as np

BUFFER_BYTES = 4 << 20
_ALIGNED_BYTES = 64
_IDLE_REFERENCES = 3  # to an array: the pool's list, the loop's variable, and the count's own argument
_IDLE_OWNER_REFERENCES = 2  # to the memory behind it: the array, and the count's own argument


def _fresh_pages(size: int) -> np.ndarray:
    """Memory that begins at a page, and is of huge pages where numpy gets them: a disk takes it in fewer pieces.

    Small pages, whose first touch can cost less a byte in virtual machines, made no difference to whole runs.
    """
    memory = np.empty(size + mmap.PAGESIZE, np.uint8)
    start = -memory.ctypes.data % mmap.PAGESIZE
    return memory[start : start + size]


class Pool:
    """Arrays of bytes. One is handed out again when nothing refers to it, or to a view of it, any more."""

    def __init__(self) -> None:
        self._all: list[np.ndarray] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> np.ndarray:
        """At least ``size`` bytes, uint8, with whatever is in them."""
        with self._lock:
            for array in self._all:
                if len(array) < size:
                    continue
                # Views that memoryview makes refer to the array, those that numpy makes to the memory behind it.
                if sys.getrefcount(array) == _IDLE_REFERENCES and sys.getrefcount(array.base) == _IDLE_OWNER_REFERENCES:
                    return array
            # Rounded up, so that the next that is a little larger fits as well.
            self._all.append(_fresh_pages(-(-size // BUFFER_BYTES) * BUFFER_BYTES))
            return self._all[-1]


class Buffers:
    """Room for images, many to a buffer; each thread fills buffers of its own.

    Views of a buffer keep it from being handed out again.
    """

    def __init__(self) -> None:
        self._pool = Pool()
        self._thread = threading.local()

    def room(self) -> np.ndarray:
        """What is left of the thread's buffer, uint8."""
        buffer: np.ndarray | None = getattr(self._thread, "buffer", None)
        if buffer is None:
            return self.fresh_room()
        return buffer[self._thread.used :]

    def fresh_room(self) -> np.ndarray:
        """A whole buffer, uint8 [BUFFER_BYTES], for where what is left does not do."""
        self._thread.buffer = None  # idle, if nobody else has it
        self._thread.buffer = self._pool.take(BUFFER_BYTES)
        self._thread.used = 0
        return self._thread.buffer[:]

    def use(self, size: int) -> None:
        """Keep the first bytes of the room."""
        self._thread.used += -(-size // _ALIGNED_BYTES) * _ALIGNED_BYTES
