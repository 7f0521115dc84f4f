"""A store whose requests are tried again: around a bucket, or around anything that fails now and then."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..errors import AlreadyExists, DamagedError, NotFound, TransientError
from .protocol import Capabilities, ObjectInfo, ObjectStore
from .retrying import Retrier, RetryOptions
from .sound import read_sound

_Out = TypeVar("_Out")
_PAGE = 1000  # names
FindCapabilities = Callable[[ObjectStore], Capabilities]


class RetryingStore:
    """Every request of ``inner`` that ends in a TransientError is made again, as the options say.

    A ``create`` or ``delete`` whose answer was lost may have been carried out: another attempt that then finds what
    it wanted to make (the same bytes), or nothing where it wanted nothing, has succeeded.

    Args:
        find_capabilities: finds out what this store keeps, instead of taking the inner one's word; a function of a
            module, so that it pickles.
        sole_writer: whether the user vouches that nobody else writes, so that creating need not be atomic.
    """

    def __init__(
        self,
        inner: ObjectStore,
        options: RetryOptions | None = None,
        *,
        find_capabilities: FindCapabilities | None = None,
        sole_writer: bool = False,
    ) -> None:
        self.inner = inner
        self.options = options or RetryOptions()
        self.find_capabilities, self.sole_writer = find_capabilities, sole_writer
        self.url = inner.url
        self._retrier = Retrier(self.options)
        self._capabilities: Capabilities | None = None

    def __repr__(self) -> str:
        return f"RetryingStore({self.inner!r})"

    def __reduce__(self) -> tuple[Callable[..., RetryingStore], tuple[ObjectStore, RetryOptions]]:
        rebuild = partial(RetryingStore, find_capabilities=self.find_capabilities, sole_writer=self.sole_writer)
        return rebuild, (self.inner, self.options)

    @property
    def capabilities(self) -> Capabilities:
        if self._capabilities is None:
            found = self.find_capabilities(self) if self.find_capabilities else self.inner.capabilities
            self._capabilities = replace(found, atomic_create=True) if self.sole_writer else found
        return self._capabilities

    def get(self, name: str) -> memoryview:
        return self._run("reading", name, lambda: self.inner.get(name))

    def get_ranges(self, name: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        return self._run("reading", name, lambda: self.inner.get_ranges(name, ranges))

    def head(self, name: str) -> ObjectInfo:
        return self._run("looking up", name, lambda: self.inner.head(name))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        pages = _Pages(self.inner, prefix, after)
        while page := self._run("listing", prefix or "the store", pages.next):
            yield from page

    def local_path(self, name: str) -> Path | None:
        return self.inner.local_path(name)

    def put(self, name: str, data: bytes | memoryview) -> None:
        self._run("writing", name, lambda: self.inner.put(name, data))

    def create(self, name: str, data: bytes | memoryview) -> None:
        def attempt(number: int) -> None:
            try:
                self.inner.create(name, data)
            except AlreadyExists:
                if number == 1 or not self._holds(name, memoryview(data).cast("B")):
                    raise

        self._retrier.run("creating", name, attempt)

    def delete(self, name: str) -> None:
        def attempt(number: int) -> None:
            try:
                self.inner.delete(name)
            except NotFound:
                if number == 1:
                    raise

        self._retrier.run("deleting", name, attempt)

    def _holds(self, name: str, expected: memoryview) -> bool:
        """Whether an object has these bytes; others count only where they come so again."""

        def compare(data: memoryview, *, where: str) -> None:
            if data != expected:
                raise DamagedError("other-bytes", "it has other bytes than were sent", where=where)

        try:
            read_sound(lambda: self.inner.get(name), compare, where=name)
        except DamagedError:
            return False
        return True

    def _run(self, operation: str, name: str, request: Callable[[], _Out]) -> _Out:
        return self._retrier.run(operation, name, lambda _: request())


class _Pages:
    """A listing some names at a time; after a failure it goes on behind the last name that it handed out."""

    def __init__(self, store: ObjectStore, prefix: str, after: str) -> None:
        self._store, self._prefix, self._after = store, prefix, after
        self._found: Iterator[ObjectInfo] | None = None

    def next(self) -> list[ObjectInfo]:
        """The next names; none at the end."""
        if self._found is None:
            self._found = self._store.list(self._prefix, after=self._after)
        try:
            page = [*itertools.islice(self._found, _PAGE)]
        except TransientError:
            self._found = None
            raise
        if page:
            self._after = page[-1].name
        return page
