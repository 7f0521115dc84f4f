"""Annotations and reports that a commit is about to name, kept until it is done."""

from __future__ import annotations

from collections.abc import Sequence

from ..stores import ObjectStore, ensure


class SmallObjects:
    """Stores small objects, and again where ``gc`` removed them: nothing names them yet."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._stored: dict[str, bytes | memoryview] = {}

    def store(self, name: str, data: bytes | memoryview) -> None:
        """Store an object whose name says what it holds."""
        self._stored[name] = data
        ensure(self._store, name, data)

    def store_again(self, names: Sequence[str]) -> None:
        """Those of the names that were stored here; of others nothing is known."""
        for name in names:
            if name in self._stored:
                ensure(self._store, name, self._stored[name])
