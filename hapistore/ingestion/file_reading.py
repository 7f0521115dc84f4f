"""Files of images, many at a time."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hapistore_format.image_shard import MAX_IMAGE_BYTES

from ..errors import HapistoreError, ImageError
from .buffers import BUFFER_BYTES, Buffers
from .file_kernel import OPEN_FLAGS, read_files
from .hash_kernel import hash_images
from .jpeg_kernel import UNUSUAL

# What tells of a disk or network that failed, and not of one image.
_BROKEN = {errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN}
_SMALL_BYTES = BUFFER_BYTES // 4


class FileBytes(NamedTuple):
    """What was read of one file; its record digest, where that is known; and width and height of a plain JPEG."""

    data: bytes | memoryview
    digest: bytes | None = None
    plain_size: tuple[int, int] | None = None


class FileReading:
    """Reads files into memory that is used again.

    Args:
        root: a file or folder without which the source is gone.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._buffers = Buffers()

    def read(self, paths: Sequence[str], wait_for_room: Callable[[int], None]) -> Iterator[FileBytes | ImageError]:
        """Each file's bytes, or why it cannot be used.

        Args:
            wait_for_room: called before a large file is read, with its size.

        Raises:
            HapistoreError: the source is gone, or the disk or network that it is on has failed.
        """
        encoded = [os.fsencode(path) for path in paths]
        joined = b"\0".join(encoded) + b"\0"
        done = 0
        if joined.count(b"\0") == len(paths):  # else a path has one of its own, and C would end it there
            lengths = (len(path) + 1 for path in encoded[:-1])
            starts = np.array(list(itertools.accumulate(lengths, initial=0)), np.int64)
            data = np.frombuffer(joined, np.uint8)
            while done < len(paths):
                for file in self._read_some(data, starts[done:]):
                    yield self._read_one(paths[done], wait_for_room) if file is None else file
                    done += 1
        for path in paths[done:]:
            yield self._read_one(path, wait_for_room)

    def _read_some(self, paths: np.ndarray, starts: np.ndarray) -> list[FileBytes | None]:
        """As many small files as there is room for; None for each that is none, or cannot be read."""
        places, sizes, pixels = found = np.full((3, len(starts)), UNUSUAL, np.int64)
        room = self._buffers.room()
        done = read_files(paths, starts, room, _SMALL_BYTES, places, sizes, pixels)
        if not done:
            room = self._buffers.fresh_room()
            done = read_files(paths, starts, room, _SMALL_BYTES, places, sizes, pixels)
        digests = hash_images(room, places[:done], sizes[:done])
        view = memoryview(room).toreadonly()  # type: ignore[arg-type]
        files: list[FileBytes | None] = []
        end = 0
        for digest, (place, size, size_px) in zip(digests, found[:, :done].T.tolist(), strict=True):
            if size < 0:
                files.append(None)
            else:
                end = place + size
                plain_size = None if size_px == UNUSUAL else (size_px >> 16, size_px & 0xFFFF)
                files.append(FileBytes(view[place:end], digest, plain_size))
        self._buffers.use(end)
        return files

    def _read_one(self, path: str, wait_for_room: Callable[[int], None]) -> FileBytes | ImageError:
        """Any file, or what is the matter with it."""
        try:
            descriptor = os.open(path, OPEN_FLAGS)
            try:
                return FileBytes(_read_whole(descriptor, path, wait_for_room))
            finally:
                os.close(descriptor)
        except ImageError as error:
            return error
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            return self._explain(path, error)

    def _explain(self, path: str, error: OSError | ValueError) -> ImageError:
        """Why an image cannot be read; raises where the source is no more."""
        text = f"{path}: {getattr(error, 'strerror', None) or error}"
        if isinstance(error, OSError) and error.errno in _BROKEN:
            raise HapistoreError(f"reading the source failed, nothing was committed: {text}") from error
        if isinstance(error, FileNotFoundError) and self._root is not None and not self._root.exists():
            raise HapistoreError(
                f"the source is gone: {self._root} was there when the ingest began; nothing was committed"
            ) from error
        return ImageError("unreadable-file", text)


def _read_whole(descriptor: int, path: str, wait_for_room: Callable[[int], None]) -> bytes:
    """A file from its beginning to its end, wherever that is by now."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("unreadable-file", f"{path} is no regular file")
    if status.st_size > MAX_IMAGE_BYTES:
        raise ImageError("too-large", f"{path} has {status.st_size} bytes, expected at most {MAX_IMAGE_BYTES}")
    wait_for_room(status.st_size)
    parts = [os.read(descriptor, status.st_size + 1)]
    while parts[-1] and sum(map(len, parts)) <= MAX_IMAGE_BYTES:
        parts.append(os.read(descriptor, 1 << 20))
    if parts[-1]:
        raise ImageError("too-large", f"{path} grows while it is read, beyond {MAX_IMAGE_BYTES} bytes")
    return b"".join(parts)
