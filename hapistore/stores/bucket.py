"""A bucket that others fill: read only, objects of any name, every request tried again.

Names in hapistore's own stores are plain on purpose (``check_name``); photographs are called what they are called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import obstore

from ..errors import NotFound, StoreError, UsageError
from .protocol import ObjectInfo
from .remote import RemoteStore
from .remote_options import SCHEMES, RemoteOptions
from .retrying import Retrier, RetryOptions

_Out = TypeVar("_Out")
_OPTIONS = re.compile(r"\?(?=(?:endpoint|region|addressing)=)")
_PIECE_BYTES = 2 << 20  # a range is fetched in pieces of so much, several at once
_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class ObjectUrl:
    """``s3://bucket/name?endpoint=…`` taken apart. The name stands as it is: nothing in it is escaped.

    Attributes:
        bucket: URL of the bucket, with the options; name: an object's, a prefix or a pattern, may be empty.
    """

    bucket: str
    name: str

    @classmethod
    def parse(cls, text: str) -> ObjectUrl:
        """Take a URL apart.

        Raises:
            UsageError: it is no URL of a bucket.
        """
        plain, *options = _OPTIONS.split(text, maxsplit=1)
        found = re.fullmatch(r"(\w+)://([^/]+)(?:/(.*))?", plain, re.DOTALL)
        if found is None or found[1] not in SCHEMES:
            raise UsageError(f"{text} is no s3://bucket/name, gs://bucket/name or az://container/name")
        query = f"?{options[0]}" if options else ""
        return cls(bucket=f"{found[1]}://{found[2]}{query}", name=found[3] or "")

    def with_name(self, name: str) -> str:
        """URL of another object in the same bucket, without the options."""
        return f"{self.bucket.partition('?')[0]}/{name}"


def is_bucket_url(text: str) -> bool:
    """Whether a text is meant as the URL of something in a bucket."""
    return text.partition("://")[0] in SCHEMES and "://" in text


class Bucket:
    """Objects of a bucket by name. Safe from several threads.

    Args:
        url: of the bucket alone, as ``ObjectUrl.bucket``.

    Raises:
        UsageError: the URL makes no sense. Methods raise NotFound or StoreError when it is time to give up.
    """

    def __init__(
        self, url: str, options: RemoteOptions | None = None, *, retry_options: RetryOptions | None = None
    ) -> None:
        self._store = _AnyName(url, options)
        self._retrier = Retrier(retry_options or RetryOptions())

    def get(self, name: str) -> memoryview:
        """An object's bytes."""
        return self._again("reading", name, lambda: self._store.fetch(name))

    def get_range(self, name: str, start: int, stop: int) -> memoryview:
        """Bytes ``[start, stop)`` of an object, which has them: several requests at once where they are many."""
        return self._again("reading", name, lambda: self._store.fetch_range(name, start, stop))

    def head(self, name: str) -> ObjectInfo:
        """Size of an object."""
        return self._again("looking up", name, lambda: self._store.look_up(name))

    def children(self, folder: str) -> tuple[list[str], list[ObjectInfo]]:
        """What lies directly below a folder (its path, may be empty): names of folders, and objects."""
        return self._again("listing", folder or "the bucket", lambda: self._store.list_children(folder))

    def list(self, folder: str) -> Iterator[ObjectInfo]:
        """Objects below a folder, page by page, in the bucket's order (which is that of names, at the providers').

        A page that cannot be had is asked for again; what came already is not.
        """
        pages = _Pages(self._store, folder)
        while page := self._retrier.run("listing", folder or "the bucket", pages.take):
            yield from page

    def _again(self, operation: str, name: str, request: Callable[[], _Out]) -> _Out:
        try:
            return self._retrier.run(operation, name, lambda _: request())
        except ValueError as error:  # obstore's: of names that no request can be made for
            raise NotFound(f"there is no object {name!r}: {str(error).splitlines()[0]}") from error


class _AnyName(RemoteStore):
    """One attempt each, for names that ``check_name`` would refuse."""

    def fetch(self, name: str) -> memoryview:
        return memoryview(self._run("reading", name, lambda: obstore.get(self._client, name).bytes()))

    def fetch_range(self, name: str, start: int, stop: int) -> memoryview:
        starts = [*range(start, stop, _PIECE_BYTES)]
        ends = [min(at + _PIECE_BYTES, stop) for at in starts]
        pieces = self._run(
            "reading", name, lambda: obstore.get_ranges(self._client, name, starts=starts, ends=ends, coalesce=0)
        )
        data = memoryview(pieces[0]) if len(pieces) == 1 else memoryview(b"".join(memoryview(p) for p in pieces))
        if len(data) != stop - start:
            raise StoreError(f"{name}: bytes {start} to {stop} lie beyond its end; it was changed while it was read")
        return data

    def look_up(self, name: str) -> ObjectInfo:
        found = self._run("looking up", name, lambda: obstore.head(self._client, name))
        return _info(found)

    def list_children(self, folder: str) -> tuple[list[str], list[ObjectInfo]]:
        found = self._run(
            "listing", folder or "the bucket", lambda: obstore.list_with_delimiter(self._client, folder or None)
        )
        objects = [_info(entry) for entry in found["objects"]]
        return [path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]], objects

    def pages(self, folder: str, *, after: str | None) -> Iterator[list[ObjectInfo]]:
        pages = iter(obstore.list(self._client, folder or None, offset=after, chunk_size=_PAGE))
        while page := self._run("listing", folder or "the bucket", lambda: next(pages, None)):
            yield [_info(entry) for entry in page]


def _info(entry: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(name=entry["path"], bytes=entry["size"], modified=entry["last_modified"].timestamp())


class _Pages:
    """A listing that goes on where it stopped: behind the last name, or by counting where names come in no order."""

    def __init__(self, store: _AnyName, folder: str) -> None:
        self._store, self._folder = store, folder
        self._pages = store.pages(folder, after=None)
        self._last: str | None = None
        self._taken, self._skip, self._in_order = 0, 0, True

    def take(self, attempt: int) -> list[ObjectInfo]:
        """The next page; empty at the end."""
        if attempt > 1:
            self._skip = 0 if self._in_order else self._taken
            self._pages = self._store.pages(self._folder, after=self._last if self._in_order else None)
        for page in self._pages:
            rest = page[self._skip :]
            self._skip -= len(page) - len(rest)
            if rest:
                return self._note(rest)
        return []

    def _note(self, page: list[ObjectInfo]) -> list[ObjectInfo]:
        for entry in page:
            self._in_order = self._in_order and (self._last is None or self._last < entry.name)
            self._last = entry.name
        self._taken += len(page)
        return page
