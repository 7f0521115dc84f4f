"""Reading, checking and hashing images on threads: in order, and never more than some bytes ahead."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from hapistore_format import ImageRecord, record_digest
from hapistore_format.image_shard import MAX_IMAGE_BYTES

from ..errors import HapistoreError, ImageError
from ..images import check_image, read_header
from ..threads import map_ahead
from .sources import Chunk, ImageRef, Listing

CHECKS = {"header": read_header, "full": check_image}
"""How an image is looked at: its header, or every pixel."""
_AHEAD_BYTES = 64 << 20
_GROUP_BYTES, _GROUP_ROWS = 2 << 20, 32  # what one thread takes at once: enough that handing it over costs little
# What tells of a disk or network that failed, and not of one image.
_BROKEN = {errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN}


@dataclass(frozen=True, kw_only=True)
class ReadGroup:
    """Some rows of a chunk, and for each its image as a record, or why it is none."""

    annotations: pa.Table
    images: list[ImageRecord | ImageError]


class ImageReading:
    """One pass over the images of a listing.

    Args:
        check: one of ``CHECKS``.
    """

    def __init__(self, listing: Listing, *, threads: int, check: str) -> None:
        self._listing, self._threads, self._check = listing, threads, CHECKS[check]
        self._budget = _Budget(_AHEAD_BYTES)
        self._rows_at_once = 1

    def groups(self, chunks: Iterable[Chunk]) -> Generator[ReadGroup, None, None]:
        """Everything, in order.

        Raises:
            HapistoreError: the source is gone, or the disk or network that it is on has failed.
        """
        read = partial(_read_group, self)
        results = map_ahead(
            read, self._cut(chunks), threads=self._threads, ahead=2 * self._threads, name="hapistore-ingest"
        )
        try:
            for number, group in enumerate(results):
                yield group
                self._budget.release(number)
                self._learn(group)
        finally:
            self._budget.close()  # else threads that wait for room would keep the process from ending

    def _cut(self, chunks: Iterable[Chunk]) -> Iterator[tuple[int, pa.Table, Sequence[ImageRef]]]:
        number = 0
        for chunk in chunks:
            start = 0
            while start < len(chunk.images):
                count = self._rows_at_once
                yield number, chunk.annotations.slice(start, count), chunk.images[start : start + count]
                start, number = start + count, number + 1

    def _learn(self, group: ReadGroup) -> None:
        """Fit the size of later groups to that of the images."""
        mean = sum(len(image.image) for image in group.images if isinstance(image, ImageRecord)) / len(group.images)
        self._rows_at_once = max(1, min(_GROUP_ROWS, int(_GROUP_BYTES / (mean + 1))))

    def read_one(self, image: ImageRef, group: int) -> ImageRecord | ImageError:
        """One image, as soon as there is room for it."""
        try:
            data = self._fetch(image, group)
            header = self._check(data)
        except ImageError as error:
            return error
        return ImageRecord(
            image=data,
            width=header.width,
            height=header.height,
            orientation=header.orientation,
            format=header.format,
            digest=record_digest(data),
        )

    def _fetch(self, image: ImageRef, group: int) -> bytes:
        if isinstance(image, Path):
            return self._read_file(image, group)
        self._budget.take(group, getattr(image, "bytes", 0) if callable(image) else len(image))
        data = image() if callable(image) else image
        if len(data) > MAX_IMAGE_BYTES:
            raise ImageError("too-large", f"it has {len(data)} bytes, expected at most {MAX_IMAGE_BYTES}")
        return data if isinstance(data, bytes) else bytes(data)

    def _read_file(self, path: Path, group: int) -> bytes:
        try:
            # Not waiting for whoever writes to what turns out to be a named pipe.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ImageError("unreadable-file", f"{path} is no regular file")
                if status.st_size > MAX_IMAGE_BYTES:
                    raise ImageError(
                        "too-large", f"{path} has {status.st_size} bytes, expected at most {MAX_IMAGE_BYTES}"
                    )
                self._budget.take(group, status.st_size)
                return _read_all(descriptor, status.st_size)
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            raise self._explain(path, error) from error

    def _explain(self, path: Path, error: OSError | ValueError) -> HapistoreError:
        """An image that cannot be read, or a source that is no more."""
        text = f"{path}: {getattr(error, 'strerror', None) or error}"
        root = self._listing.root
        if isinstance(error, OSError) and error.errno in _BROKEN:
            return HapistoreError(f"reading the source failed, nothing was committed: {text}")
        if isinstance(error, FileNotFoundError) and root is not None and not root.exists():
            return HapistoreError(f"the source is gone: {root} was there when the ingest began; nothing was committed")
        return ImageError("unreadable-file", text)


def _read_group(reading: ImageReading, part: tuple[int, pa.Table, Sequence[ImageRef]]) -> ReadGroup:
    number, annotations, images = part
    return ReadGroup(annotations=annotations, images=[reading.read_one(image, number) for image in images])


def _read_all(descriptor: int, size: int) -> bytes:
    """A file from its beginning to its end, wherever that is by now."""
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    parts = [data]
    while data:
        data = os.read(descriptor, 1 << 20)
        parts.append(data)
    return b"".join(parts)


class _Budget:
    """Bytes of images that are read and not yet taken. The group that is awaited is never held up."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used: dict[int, int] = {}
        self._awaited = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, group: int, size: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or group == self._awaited or self._has_room(size))
            if self._closed:
                raise HapistoreError("the ingest has ended")
            self._used[group] = self._used.get(group, 0) + size

    def _has_room(self, size: int) -> bool:
        return sum(self._used.values()) + size <= self._limit

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def release(self, group: int) -> None:
        with self._changed:
            self._used.pop(group, None)
            self._awaited = group + 1
            self._changed.notify_all()
