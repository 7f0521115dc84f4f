"""Files on this machine and objects of buckets, named alike and opened alike."""

from __future__ import annotations

import fnmatch
import functools
import glob
import io
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hapistore_format.image_shard import MAX_IMAGE_BYTES

from ...errors import ImageError, NotFound, UsageError
from ...stores.bucket import Bucket, ObjectUrl, is_bucket_url
from ...threads import map_ahead
from .braces import expand_braces

WINDOW_BYTES = 8 << 20
_AHEAD = 3
_KEPT = 3  # windows


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file, or an object.

    Attributes:
        name: its path or URL, for people; path: of a file; bucket, object: of an object.
    """

    name: str
    path: Path | None = None
    bucket: Bucket | None = None
    object: str = ""

    def open(self, *, in_order: bool = False) -> BinaryIO:
        """Open for reading and seeking.

        Args:
            in_order: whether it is read from its start to its end, so that fetching ahead pays.

        Raises:
            UsageError: there is no such file or object.
        """
        try:
            if self.path is not None:
                return open(self.path, "rb")
            return io.BufferedReader(BucketFile(self.required_bucket, self.object, in_order=in_order), 1 << 16)
        except (FileNotFoundError, NotFound):
            raise UsageError(f"source {self.name} does not exist") from None
        except OSError as error:
            raise UsageError(f"source {self.name} cannot be opened: {error.strerror or error}") from error

    @property
    def required_bucket(self) -> Bucket:
        if self.bucket is None:
            raise AssertionError(f"{self.name} is in no bucket")
        return self.bucket


@functools.lru_cache(maxsize=16)
def bucket_at(url: str) -> Bucket:
    """The bucket of a URL; one client for all that is read from it."""
    return Bucket(url)


def find_places(pattern: str | os.PathLike[str]) -> list[Place]:
    """Files and objects that a path or URL with braces, ``*`` and ``[…]`` (of files also ``?``) stands for.

    Those of one glob come in order of name, those of braces as they are written.

    Raises:
        UsageError: one names nothing.
    """
    text = os.fspath(pattern)
    if not is_bucket_url(text) and os.path.lexists(text):  # it may be called like a pattern
        return [Place(name=text, path=Path(text))]
    places = []
    for name in expand_braces(text):
        found = _in_bucket(name) if is_bucket_url(name) else _in_folder(name)
        if not found:
            raise UsageError(f"source {name} does not exist" + _of_pattern(name, text))
        places += found
    return places


def _of_pattern(name: str, pattern: str) -> str:
    return "" if name == pattern else f"; {pattern} stands for it"


def _in_folder(name: str) -> list[Place]:
    if glob.has_magic(name):
        return [Place(name=path, path=Path(path)) for path in sorted(glob.iglob(name, recursive=True))]  # noqa: PTH207 - it may be absolute
    return [Place(name=name, path=Path(name))] if os.path.lexists(name) else []


def _in_bucket(url: str) -> list[Place]:
    parsed = ObjectUrl.parse(url)
    bucket = bucket_at(parsed.bucket)
    if not ("*" in parsed.name or "[" in parsed.name):
        return [Place(name=parsed.with_name(parsed.name), bucket=bucket, object=parsed.name)]
    folder = parsed.name[: min(at for at in (parsed.name.find("*"), parsed.name.find("[")) if at >= 0)]
    folder = folder.rpartition("/")[0]
    deep = "/" in parsed.name[len(folder) + bool(folder) :]
    entries = bucket.list(folder) if deep else bucket.children(folder)[1]
    found = sorted(entry.name for entry in entries if _matches(entry.name, parsed.name))
    return [Place(name=parsed.with_name(name), bucket=bucket, object=name) for name in found]


def _matches(name: str, pattern: str) -> bool:
    """Segment by segment, as files are matched: a star does not reach over a slash."""
    segments, wanted = name.split("/"), pattern.split("/")
    return len(segments) == len(wanted) and all(
        fnmatch.fnmatchcase(segment, want.replace("?", "[?]")) for segment, want in zip(segments, wanted, strict=True)
    )


class FetchedImage:
    """An image in a bucket, fetched when it is called for.

    Args:
        size: if it is known; what is too large is not fetched.
    """

    __slots__ = ("_bucket", "_name", "_size")

    def __init__(self, bucket: Bucket, name: str, size: int | None = None) -> None:
        self._bucket, self._name, self._size = bucket, name, size

    def __call__(self) -> memoryview:
        try:
            size = self._bucket.head(self._name).bytes if self._size is None else self._size
            if size > MAX_IMAGE_BYTES:
                raise ImageError("too-large", f"{self._name} has {size} bytes, expected at most {MAX_IMAGE_BYTES}")
            return self._bucket.get(self._name)
        except NotFound as error:
            raise ImageError("unreadable-file", str(error)) from error


class BucketFile(io.RawIOBase):
    """An object as a file, in windows of 8 MiB; a few are kept.

    Args:
        in_order: whether to have the next windows on their way: three at once, 40 MiB at most.

    Raises:
        NotFound: there is no such object.
    """

    def __init__(self, bucket: Bucket, name: str, *, in_order: bool) -> None:
        self._bucket, self._name, self._in_order = bucket, name, in_order
        self._size = bucket.head(name).bytes
        self._at = 0
        self._kept: OrderedDict[int, memoryview] = OrderedDict()
        self._stream: Iterator[memoryview] | None = None
        self._next = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # noqa: UP037
        if self._at >= self._size:
            return 0
        number, start = divmod(self._at, WINDOW_BYTES)
        part = self._window(number)[start : start + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        self._stop()
        self._kept.clear()
        super().close()

    def _window(self, number: int) -> memoryview:
        if number not in self._kept:
            self._kept[number] = self._ahead(number) if self._in_order else self._fetch(number)
            while len(self._kept) > (1 if self._in_order else _KEPT):
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]

    def _ahead(self, number: int) -> memoryview:
        if self._stream is None or not self._next <= number <= self._next + _AHEAD:
            self._stop()
            windows = range(number, -(-self._size // WINDOW_BYTES))
            self._stream = map_ahead(self._fetch, windows, threads=_AHEAD, ahead=_AHEAD, name="hapistore-fetch")
            self._next = number
        while True:
            data = next(self._stream)
            self._next += 1
            if self._next > number:
                return data

    def _fetch(self, number: int) -> memoryview:
        start = number * WINDOW_BYTES
        return self._bucket.get_range(self._name, start, min(start + WINDOW_BYTES, self._size))

    def _stop(self) -> None:
        close: Callable[[], None] | None = getattr(self._stream, "close", None)
        if close:
            close()
        self._stream = None
