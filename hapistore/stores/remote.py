"""Buckets of S3, Google Cloud Storage and Azure as object stores, through obstore, which tries nothing again."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from ..errors import StoreError, TransientError
from .listing_order import lists_in_order
from .protocol import Capabilities, ObjectInfo, check_name
from .ranges import merge_ranges
from .remote_errors import translate
from .remote_options import RemoteOptions, RemoteUrl, client_options
from .retry_after import ask_retry_after_s
from .signed_head import Head, ask_head

_Out = TypeVar("_Out")
_CLASSES: dict[str, Callable[..., Any]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
# Above this an object goes up in parts, some at a time; below, one request is faster and leaves nothing half done.
# Parts are sent from the caller's memory, and a failure aborts them; those of a process that is killed stay until the
# bucket's lifecycle rule for incomplete uploads removes them.
_PAGE = 1000  # names
_PARTS_FROM_BYTES, _PART_BYTES, _PARTS_AT_ONCE = 128 << 20, 16 << 20, 4


class RemoteStore:
    """Objects below a prefix of a bucket. Pickles to what opens it again, credentials from where it is opened.

    Each method makes one attempt and raises TransientError where another is worth it: see ``RetryingStore``.

    Args:
        url: ``s3://bucket/prefix``, ``gs://…`` or ``az://…``; see ``RemoteUrl``.

    Raises:
        UsageError: the URL or the options make no sense. Nothing is asked of the store yet.
    """

    capabilities = Capabilities(atomic_create=True, consistent_list=True)
    """As the three providers promise it. Other servers with their interfaces may not: see ``known_servers``."""

    def __init__(self, url: str, options: RemoteOptions | None = None) -> None:
        self._parsed = RemoteUrl.parse(url)
        self._options = options or RemoteOptions()
        self.url = str(self._parsed)
        self._client = _CLASSES[self._parsed.scheme](
            self._parsed.bucket,
            prefix=self._parsed.prefix or None,
            **client_options(self._parsed, self._options),
        )
        self._in_order: bool | None = None

    def __repr__(self) -> str:
        return f"RemoteStore({self.url!r})"

    def __reduce__(self) -> tuple[Callable[..., RemoteStore], tuple[str, RemoteOptions]]:
        return RemoteStore, (self.url, self._options)

    def get(self, name: str) -> memoryview:
        return memoryview(self._run("reading", name, lambda: obstore.get(self._client, check_name(name)).bytes()))

    def get_ranges(self, name: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        check_name(name)
        for start, stop in ranges:
            if not 0 <= start <= stop:
                raise StoreError(f"{name}: bytes {start} to {stop} are no range")
        wanted = [(start, stop) for start, stop in ranges if start < stop]
        if len(wanted) < len(ranges) or not ranges:
            size = self.head(name).bytes
            if any(stop > size for _, stop in ranges):
                raise StoreError(f"{name}: a range lies beyond its {size} bytes")
        parts = iter(self._ranges(name, wanted) if wanted else [])
        return [next(parts) if start < stop else memoryview(b"") for start, stop in ranges]

    def _ranges(self, name: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        """Ranges that are not empty; near ones come in one request, far ones at once.

        obstore would join them too, and end the process where one of those begins beyond the object's end.
        """
        spans = merge_ranges(ranges)
        starts, ends = [start for start, _ in spans], [stop for _, stop in spans]
        request = partial(obstore.get_ranges, self._client, name, starts=starts, ends=ends, coalesce=0)
        bodies = self._run("reading", name, request)
        found = {span: memoryview(body) for span, body in zip(spans, bodies, strict=True)}
        parts = []
        for start, stop in ranges:
            first, _ = span = spans[bisect.bisect_right(starts, start) - 1]
            if len(found[span]) < stop - first:
                raise StoreError(f"{name}: bytes {start} to {stop} lie beyond its end")
            parts.append(found[span][start - first : stop - first])
        return parts

    def head(self, name: str) -> ObjectInfo:
        found = self._run("looking up", name, lambda: obstore.head(self._client, check_name(name)))
        return ObjectInfo(name=name, bytes=found["size"], modified=found["last_modified"].timestamp())

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        # obstore's prefixes are whole segments.
        folder = prefix.rpartition("/")[0]
        if folder:
            check_name(folder)
        if self._in_order is None:
            self._in_order = lists_in_order(self._parsed, self.ask_head)
        last = ""
        found = self._list(folder, after)
        for info in found if self._in_order else iter(sorted(found, key=lambda info: info.name)):
            if info.name <= after:
                continue
            if self._in_order and info.name < last:
                raise StoreError(f"{info.name}: listed after {last}, though this server was taken to sort")
            last = info.name
            if info.name.startswith(prefix):
                yield info

    def _list(self, folder: str, after: str) -> Iterator[ObjectInfo]:
        """Everything below a folder as the store sends it, a page in memory at a time."""
        offset = after if self._in_order and after else None
        what = folder or "the store"
        chunks = self._run(
            "listing",
            what,
            lambda: obstore.list(self._client, prefix=folder or None, offset=offset, chunk_size=_PAGE),
        )
        while chunk := self._run("listing", what, lambda: next(chunks, None)):
            for entry in chunk:
                modified = entry["last_modified"].timestamp()
                yield ObjectInfo(name=entry["path"], bytes=entry["size"], modified=modified)

    def local_path(self, name: str) -> Path | None:
        check_name(name)
        return None

    def ask_head(self, *, timeout_s: float) -> Head | None:
        """What the server says of itself, in its answer for an object that may be there or not."""
        return ask_head(self._client, "hapistore.json", timeout_s=timeout_s)

    def put(self, name: str, data: bytes | memoryview) -> None:
        check_name(name)
        parts = len(data) > _PARTS_FROM_BYTES
        write = partial(
            obstore.put,
            self._client,
            name,
            memoryview(data).cast("B"),
            use_multipart=parts,
            chunk_size=_PART_BYTES,
            max_concurrency=_PARTS_AT_ONCE,
        )
        self._run("writing", name, write)

    def create(self, name: str, data: bytes | memoryview) -> None:
        """In one request whatever its size, of which the providers take 5 GiB: only that can be conditional."""
        check_name(name)
        view = memoryview(data).cast("B")
        self._run("creating", name, lambda: obstore.put(self._client, name, view, mode="create"))

    def delete(self, name: str) -> None:
        self.head(name)  # most stores say nothing of what was not there
        self._run("deleting", name, lambda: obstore.delete(self._client, name))

    def _run(self, operation: str, name: str, request: Callable[[], _Out]) -> _Out:
        try:
            return request()
        except (BaseError, OSError) as error:
            raised = translate(error, operation, name)
            if isinstance(raised, TransientError) and raised.throttled and operation != "listing":
                raised.retry_after_s = ask_retry_after_s(self._client, name, timeout_s=self._options.connect_timeout_s)
            # Not as its cause: obstore's text fills a page, and may hold a signed URL.
            raise raised from None
