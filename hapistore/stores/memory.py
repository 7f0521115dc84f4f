"""A store in memory, for tests and for trying things out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import AlreadyExists, NotFound, StoreError
from .protocol import Capabilities, ObjectInfo, check_name


class MemoryStore:
    """Objects in a dict. Gone with the process; a pickled copy would be another store, so it does not pickle."""

    capabilities = Capabilities(atomic_create=True, consistent_list=True)
    url = "memory:"

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._objects)} objects)"

    def __reduce__(self) -> str:
        raise TypeError("a memory store cannot be sent to another process; use a folder")

    def get(self, name: str) -> memoryview:
        try:
            return memoryview(self._objects[check_name(name)][0])
        except KeyError:
            raise NotFound(f"there is no object {name}") from None

    def get_ranges(self, name: str, ranges: list[tuple[int, int]]) -> list[memoryview]:
        data = self.get(name)
        for start, stop in ranges:
            if not 0 <= start <= stop <= len(data):
                raise StoreError(f"{name}: bytes {start} to {stop} lie beyond its end")
        return [data[start:stop] for start, stop in ranges]

    def head(self, name: str) -> ObjectInfo:
        try:
            data, modified = self._objects[check_name(name)]
        except KeyError:
            raise NotFound(f"there is no object {name}") from None
        return ObjectInfo(name=name, bytes=len(data), modified=modified)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        for name, (data, modified) in sorted(self._objects.items()):
            if name.startswith(prefix) and name > after:
                yield ObjectInfo(name=name, bytes=len(data), modified=modified)

    def local_path(self, name: str) -> Path | None:
        check_name(name)
        return None

    def put(self, name: str, data: bytes | memoryview) -> None:
        self._objects[check_name(name)] = bytes(data), time.time()

    def create(self, name: str, data: bytes | memoryview) -> None:
        with self._lock:
            if check_name(name) in self._objects:
                raise AlreadyExists(f"{name} exists already")
            self._objects[name] = bytes(data), time.time()

    def delete(self, name: str) -> None:
        with self._lock:
            if self._objects.pop(check_name(name), None) is None:
                raise NotFound(f"there is no object {name}")
