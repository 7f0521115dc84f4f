"""New files, written so that they outlive a power cut."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from pathlib import Path

import numpy as np

# Large files go to the disk without the page cache: half the time, and a tenth of the processor's. What else is cached
# stays; shards are far more often read on another day, or on another machine, than at once.
_DIRECT_FROM_BYTES = 16 << 20
_DIRECT = getattr(os, "O_DIRECT", 0)
_BLOCK_BYTES = 4096  # a multiple of what any disk of today asks for
_PIECE_BYTES, _BOUNCE_BYTES = 64 << 20, 4 << 20
# The page cache takes small pieces several times as fast as large ones.
_CACHED_PIECE_BYTES = 128 << 10


def write_synced(path: Path, data: bytes | memoryview) -> None:
    """Make a file with these bytes, and have the disk take them.

    Raises:
        FileExistsError: there is one.
        OSError: the disk is full, or fails.
    """
    view = memoryview(data).cast("B")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        done = _write_direct(descriptor, view) if len(view) >= _DIRECT_FROM_BYTES else 0
        while done < len(view):
            done += os.write(descriptor, view[done : done + _CACHED_PIECE_BYTES])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_direct(descriptor: int, view: memoryview) -> int:
    """Write whole blocks around the page cache; how many bytes that were, 0 where the file system does not do it."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | _DIRECT)
    except OSError:  # such as tmpfs; the page cache then takes it all
        return 0
    try:
        return _write_blocks(descriptor, view[: len(view) - len(view) % _BLOCK_BYTES])
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)


def _write_blocks(descriptor: int, view: memoryview) -> int:
    """Direct writing asks for memory that begins at a block; other memory goes through a little that does."""
    aligned = np.frombuffer(view, np.uint8).ctypes.data % _BLOCK_BYTES == 0
    room = memoryview(mmap.mmap(-1, _BOUNCE_BYTES))  # of the system's pages, so it is aligned
    done = 0
    while done < len(view):
        piece = view[done : done + (_PIECE_BYTES if aligned else _BOUNCE_BYTES)]
        if not aligned:
            room[: len(piece)] = piece
            piece = room[: len(piece)]
        try:
            written = os.write(descriptor, piece)
        except OSError as error:
            if error.errno == errno.EINVAL:  # it asks for more than we know of
                return done
            raise
        done += written - written % _BLOCK_BYTES
        if written % _BLOCK_BYTES:  # a short write that ends inside a block cannot be continued directly
            os.lseek(descriptor, done, os.SEEK_SET)
            return done
    return done
