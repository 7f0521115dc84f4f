"""Memory of training batches, used again once nobody holds it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import numpy as np

# A line of a cache: kernels that write whole ones do not read them first.
_ALIGNED = 64
Allocate = Callable[[int], np.ndarray]
"""Gives so many bytes, uint8: of pinned memory, say."""


def allocate(size: int) -> np.ndarray:
    """Bytes of usual memory."""
    return np.empty(size, np.uint8)


class Buffers:
    """Arrays whose memory is that of earlier ones which have gone.

    Fresh memory costs more than the rows that are written to it: the system clears each page when it is first touched.
    Whether an array has gone tells the reference count of the one that has the memory. numpy makes all that is derived
    of it, however often it is sliced, refer to it, and torch's tensors keep the array they are of; so a batch that
    somebody keeps, in a list or in a queue, keeps its memory.

    Args:
        most_kept: memory that has gone is given back beyond so many pieces.
    """

    def __init__(self, most_kept: int, allocate: Allocate = allocate) -> None:
        self._allocate, self._most_kept = allocate, most_kept
        self._owners: list[np.ndarray] = []
        self._lock = threading.Lock()

    def array(self, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        """An array that nobody else writes to until it, and all that is derived of it, has gone; not cleared.

        It begins at a multiple of 64 bytes.
        """
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) * dtype.itemsize + _ALIGNED
        with self._lock:
            owner = self._free(size)
            if owner is None:
                owner = self._new(size)
            # While the lock is held: what refers to its owner makes it taken.
            start = -owner.ctypes.data % _ALIGNED
            return owner[start : start + size - _ALIGNED].view(dtype).reshape(shape)

    def _free(self, size: int) -> np.ndarray | None:
        """Memory of that size that has gone; the rest of it that nobody would use is given back."""
        free = [i for i, owner in enumerate(self._owners) if sys.getrefcount(owner) <= _UNUSED]
        fitting = next((i for i in free if len(self._owners[i]) >= size), None)
        owner = None if fitting is None else self._owners[fitting]
        for i in reversed([i for i in free if i != fitting][self._most_kept :]):
            del self._owners[i]
        return owner

    def _new(self, size: int) -> np.ndarray:
        owner = self._allocate(size)
        self._owners.append(owner)
        return owner


def _count_unused() -> int:
    """What ``sys.getrefcount`` says of an object that only a list and the loop over it refer to."""
    owners = [allocate(1)]
    return next(sys.getrefcount(owner) for _, owner in enumerate(owners))


_UNUSED = _count_unused()
