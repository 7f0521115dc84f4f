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

_AHEAD_PER_THREAD = 4


def read_records(paths: Sequence[Path], *, threads: int) -> Iterator[ImageRecord | ImageError]:
    """Each path's image as a record, or why it is none, in the order of ``paths``."""
    ahead = threads * _AHEAD_PER_THREAD
    yield from map_ahead(_read_record, paths, threads=threads, ahead=ahead, name="hapistore-ingest")


def _read_record(path: Path) -> ImageRecord | ImageError:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a named pipe would wait for ever
            return ImageError("unreadable-file", f"{path} is no regular file")
        size = status.st_size
        if size > MAX_IMAGE_BYTES:
            return ImageError("too-large", f"{path} has {size} bytes, expected at most {MAX_IMAGE_BYTES}")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        return ImageError("unreadable-file", f"{path}: {getattr(error, 'strerror', None) or error}")
    try:
        header = check_image(data)
    except ImageError as error:
        return error
    return ImageRecord(image=data, digest=record_digest(data), **vars(header))
