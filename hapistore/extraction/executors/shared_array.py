"""Memory that two processes share by an open file without a name: gone when both have closed it, or died."""

from __future__ import annotations

import math
import mmap
import os
import tempfile

import numpy as np


def open_unnamed(purpose: str, *, sealable: bool = False) -> int:
    """A descriptor of an empty file that has no name anywhere, and that nobody but who inherits it can open.

    Args:
        purpose: shown among the process's open files. sealable: whether it may be made unchangeable later.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create(f"hapistore-{purpose}", os.MFD_CLOEXEC | (os.MFD_ALLOW_SEALING if sealable else 0))
    with tempfile.TemporaryFile(prefix="hapistore-") as file:  # elsewhere than on Linux: on a disk, and unlinked
        return os.dup(file.fileno())


class SharedArray:
    """Arrays in such a file, one at a time; it grows with the largest.

    Args:
        descriptor: of the file; closed with this object.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map: mmap.mmap | None = None

    def view(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """An array over the file's first bytes. It is not to be used after the next call that makes it grow."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if os.fstat(self.descriptor).st_size < size:
            os.ftruncate(self.descriptor, size)
        if self._map is None or len(self._map) < size:
            # The old map ends with the last array over it.
            self._map = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        return np.frombuffer(self._map, dtype, math.prod(shape)).reshape(shape)

    def close(self) -> None:
        self._map = None
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1
