"""A store whose requests are tried again: around a bucket, or around anything that fails now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..errors import AlreadyExists, NotFound
from .protocol import Capabilities, ObjectInfo, ObjectStore
from .retrying import Retrier, RetryOptions

_Out = TypeVar("_Out")
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

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        # As a whole: half a listing cannot be continued.
        yield from self._run("listing", prefix or "the store", lambda: [*self.inner.list(prefix)])

    def local_path(self, name: str) -> Path | None:
        return self.inner.local_path(name)

    def put(self, name: str, data: bytes | memoryview) -> None:
        self._run("writing", name, lambda: self.inner.put(name, data))

    def create(self, name: str, data: bytes | memoryview) -> None:
        def attempt(number: int) -> None:
            try:
                self.inner.create(name, data)
            except AlreadyExists:
                if number == 1 or self.inner.get(name) != memoryview(data).cast("B"):
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

    def _run(self, operation: str, name: str, request: Callable[[], _Out]) -> _Out:
        return self._retrier.run(operation, name, lambda _: request())
