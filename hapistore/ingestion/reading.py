"""Reading, checking and hashing images on threads: in order, and never more than some bytes ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from hapistore_format import ImageRecord, record_digest
from hapistore_format.image_shard import MAX_IMAGE_BYTES

from ..errors import HapistoreError, ImageError
from ..images import ImageHeader, check_image, check_usual
from ..threads import map_ahead
from .file_reading import FileBytes, FileReading
from .sources import Chunk, ImageRef, Listing

CHECKS: dict[str, Callable[[bytes | memoryview, tuple[int, int] | None], ImageHeader]] = {
    "header": check_usual,
    "full": lambda data, plain_size: check_image(data),
}
"""How an image is looked at: a usual one by its header, or every pixel of all."""
_AHEAD_BYTES = 64 << 20
_GROUP_BYTES, _GROUP_ROWS = 2 << 20, 32  # what one thread takes at once: enough that handing it over costs little


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
        self._threads, self._check = threads, CHECKS[check]
        self._files = FileReading(listing.root)
        self._budget = _Budget(_AHEAD_BYTES)
        self._rows_at_once, self._mean_bytes = 1, 0

    def groups(self, chunks: Iterable[Chunk]) -> Generator[ReadGroup, None, None]:
        """Everything, in order.

        Raises:
            HapistoreError: the source is gone, or the disk or network that it is on has failed.
        """
        results = map_ahead(
            self._read_group, self._cut(chunks), threads=self._threads, ahead=4 * self._threads, name="hapistore-ingest"
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
        total = sum(len(image.image) for image in group.images if isinstance(image, ImageRecord))
        self._mean_bytes = total // len(group.images)
        self._rows_at_once = max(1, min(_GROUP_ROWS, _GROUP_BYTES // (self._mean_bytes + 1)))

    def _read_group(self, part: tuple[int, pa.Table, Sequence[ImageRef]]) -> ReadGroup:
        number, annotations, images = part
        return ReadGroup(annotations=annotations, images=[self._look_at(file) for file in self._fetch(images, number)])

    def _look_at(self, file: FileBytes | ImageError) -> ImageRecord | ImageError:
        if isinstance(file, ImageError):
            return file
        data, digest, plain_size = file
        try:
            header = self._check(data, plain_size)
        except ImageError as error:
            return error
        return ImageRecord(
            image=data,
            width=header.width,
            height=header.height,
            orientation=header.orientation,
            format=header.format,
            digest=digest or record_digest(data),
        )

    def _fetch(self, images: Sequence[ImageRef], group: int) -> Iterator[FileBytes | ImageError]:
        """Each image's bytes, as soon as there is room for them."""
        wait_for_room = partial(self._budget.take, group)
        if all(isinstance(image, (str, Path)) for image in images):
            wait_for_room(self._mean_bytes * len(images))
            yield from self._files.read([str(image) for image in images], wait_for_room)
            return
        for image in images:
            if isinstance(image, (str, Path)):
                yield from self._files.read([str(image)], wait_for_room)
                continue
            wait_for_room(getattr(image, "bytes", 0) if callable(image) else len(image))
            try:
                data = image() if callable(image) else image
            except ImageError as error:
                yield error
                continue
            if len(data) > MAX_IMAGE_BYTES:
                yield ImageError("too-large", f"it has {len(data)} bytes, expected at most {MAX_IMAGE_BYTES}")
            else:
                yield FileBytes(data)


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
