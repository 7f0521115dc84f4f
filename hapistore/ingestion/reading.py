"""Reading, checking and hashing images on threads, in order, a bounded number ahead."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from hapistore_format import ImageRecord, record_digest
from hapistore_format.image_shard import MAX_IMAGE_BYTES

from ..errors import ImageError
from ..images import check_image
from ..threads import map_ahead
from .sources import ImageRef

_AHEAD_PER_THREAD = 4


def read_records(images: Sequence[ImageRef], *, threads: int) -> Iterator[ImageRecord | ImageError]:
    """Each image as a record, or why it is none, in order."""
    ahead = threads * _AHEAD_PER_THREAD
    yield from map_ahead(_read_record, images, threads=threads, ahead=ahead, name="hapistore-ingest")


def _read_record(image: ImageRef) -> ImageRecord | ImageError:
    try:
        data = _read_file(image) if isinstance(image, Path) else bytes(image() if callable(image) else image)
        header = check_image(data)
    except ImageError as error:
        return error
    return ImageRecord(image=data, digest=record_digest(data), **vars(header))


def _read_file(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a named pipe would wait for ever
            raise ImageError("unreadable-file", f"{path} is no regular file")
        size = status.st_size
        if size > MAX_IMAGE_BYTES:
            raise ImageError("too-large", f"{path} has {size} bytes, expected at most {MAX_IMAGE_BYTES}")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise ImageError("unreadable-file", f"{path}: {getattr(error, 'strerror', None) or error}") from error
