"""Memory that is used again and again: taking fresh memory costs as much as reading a file into it."""

from __future__ import annotations

import mmap
import sys
import threading

import numpy as np

_BUFFER_BYTES = 4 << 20  # from here on numpy asks the system for huge pages
_ALIGNED_BYTES = 64
_IDLE_REFERENCES = 3  # the pool's list, the loop's variable, and the count's own argument


class Pool:
    """Arrays of bytes. One is handed out again when nothing refers to it, or to a view of it, any more."""

    def __init__(self) -> None:
        self._all: list[np.ndarray] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> np.ndarray:
        """At least ``size`` bytes, uint8, with whatever is in them."""
        with self._lock:
            for array in self._all:
                if len(array) >= size and sys.getrefcount(array) == _IDLE_REFERENCES:
                    return array
            # Rounded up, so that the next that is a little larger fits as well.
            self._all.append(_aligned(-(-size // _BUFFER_BYTES) * _BUFFER_BYTES))
            return self._all[-1]


def _aligned(size: int) -> np.ndarray:
    """Memory that begins at a page, as writing around the page cache asks for."""
    memory = np.empty(size + mmap.PAGESIZE, np.uint8)
    start = -memory.ctypes.data % mmap.PAGESIZE
    return memory[start : start + size]


class Buffers:
    """Room for images, many to a buffer; each thread fills buffers of its own."""

    def __init__(self) -> None:
        self._pool = Pool()
        self._thread = threading.local()

    def room(self, size: int) -> memoryview:
        """Writable memory of ``size`` bytes; it stays as long as it is referred to."""
        if size > _BUFFER_BYTES // 4:
            return memoryview(np.empty(size, np.uint8))  # type: ignore[arg-type]
        start = getattr(self._thread, "used", _BUFFER_BYTES)
        if start + size > _BUFFER_BYTES:
            self._thread.buffer = None  # idle, if nobody else has it
            self._thread.buffer = self._pool.take(_BUFFER_BYTES)
            start = 0
        self._thread.used = start + -(-size // _ALIGNED_BYTES) * _ALIGNED_BYTES
        return memoryview(self._thread.buffer)[start : start + size]
