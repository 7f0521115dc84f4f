"""What all wrappers share: every method of a store goes through one place."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ..protocol import Capabilities, ObjectInfo, ObjectStore

_Out = TypeVar("_Out")
_PAGE = 1000  # names, as servers answer


class WrappedStore:
    """Passes everything on to ``inner``; a wrapper overrides ``around``."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner
        self.url = inner.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"

    def around(self, operation: str, name: str, sent: int, request: Callable[[], _Out]) -> _Out:
        """One request.

        Args:
            operation: name of the method; name: of the object, or the prefix; sent: bytes that go up.
        """
        return request()

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def get(self, name: str) -> memoryview:
        return self.around("get", name, 0, lambda: self.inner.get(name))

    def get_ranges(self, name: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        return self.around("get_ranges", name, 0, lambda: self.inner.get_ranges(name, ranges))

    def head(self, name: str) -> ObjectInfo:
        return self.around("head", name, 0, lambda: self.inner.head(name))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        found = self.inner.list(prefix, after=after)
        whole = True
        while whole:
            page = self.around("list", prefix, 0, lambda: [*itertools.islice(found, _PAGE)])
            yield from page
            whole = len(page) == _PAGE

    def local_path(self, name: str) -> Path | None:
        return self.inner.local_path(name)

    def put(self, name: str, data: bytes | memoryview) -> None:
        self.around("put", name, len(data), lambda: self.inner.put(name, data))

    def create(self, name: str, data: bytes | memoryview) -> None:
        self.around("create", name, len(data), lambda: self.inner.create(name, data))

    def delete(self, name: str) -> None:
        self.around("delete", name, 0, lambda: self.inner.delete(name))


def received_bytes(result: object) -> int:
    """How many bytes of objects a request brought."""
    if isinstance(result, memoryview):
        return len(result)
    if isinstance(result, list):
        return sum(received_bytes(part) for part in result)
    return 0
