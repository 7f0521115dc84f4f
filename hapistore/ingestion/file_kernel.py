"""Many files into one buffer by one call, without the interpreter: it is what reading small files waits for most."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numba import types

from hapistore_format.codecs.jit import jit

from .jpeg_kernel import jpeg_size

# Of the C library.
_open: Any = types.ExternalFunction("open", types.int32(types.intp, types.int32))
_lseek: Any = types.ExternalFunction("lseek", types.int64(types.int32, types.int64, types.int32))
_pread: Any = types.ExternalFunction("pread", types.int64(types.int32, types.intp, types.uint64, types.int64))
_close: Any = types.ExternalFunction("close", types.int32(types.int32))

# Not waiting for whoever writes to what turns out to be a named pipe.
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_FLAGS, _END = OPEN_FLAGS, os.SEEK_END
_ALIGNED_BYTES = 64


@jit
def read_files(
    paths: np.ndarray,
    starts: np.ndarray,
    room: np.ndarray,
    most_bytes: int,
    places: np.ndarray,
    sizes: np.ndarray,
    pixels: np.ndarray,
) -> int:
    """Read files one behind the other, until the next does not fit.

    Args:
        paths: uint8: paths, each ended by a zero; starts: int64 [n]: where each begins.
        room: uint8: where the files go.
        most_bytes: of a file; larger ones are left to the caller.
        places, sizes: int64 [n], filled: where each file begins in ``room``, and its size; size -1 of those that are
            left to the caller, for this or any other reason.
        pixels: int64 [n], filled: what ``jpeg_size`` says of each.

    Returns:
        How many files were done.
    """
    at = 0
    for number in range(len(starts)):
        sizes[number] = -1
        descriptor = _open(paths.ctypes.data + starts[number], _FLAGS)
        if descriptor < 0:
            continue
        size = _lseek(descriptor, 0, _END)  # a folder's or a device's is something else, and does not come true
        fits = at + size + 1 <= len(room)
        if 0 <= size <= most_bytes and fits and _pread(descriptor, room.ctypes.data + at, size + 1, 0) == size:
            places[number], sizes[number] = at, size
            pixels[number] = jpeg_size(room, at, at + size)
            at += (size + _ALIGNED_BYTES - 1) // _ALIGNED_BYTES * _ALIGNED_BYTES
        _close(descriptor)
        if 0 <= size <= most_bytes and not fits:
            return number
    return len(starts)
