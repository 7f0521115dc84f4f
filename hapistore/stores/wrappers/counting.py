"""How many requests, and how many bytes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ..protocol import ObjectStore
from .wrapped import WrappedStore, received_bytes

_Out = TypeVar("_Out")


@dataclass
class Counts:
    """What went through a store.

    Attributes:
        requests: by operation, failed ones included.
        sent_bytes, received_bytes: of objects, without headers.
    """

    requests: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    received_bytes: int = 0


class CountingStore(WrappedStore):
    """Counts. A copy in another process counts for itself.

    Attributes:
        counts: so far.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.counts = Counts()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., CountingStore], tuple[ObjectStore]]:
        return CountingStore, (self.inner,)

    def around(self, operation: str, name: str, sent: int, request: Callable[[], _Out]) -> _Out:
        with self._lock:
            self.counts.requests[operation] += 1
            self.counts.sent_bytes += sent
        result = request()
        with self._lock:
            self.counts.received_bytes += received_bytes(result)
        return result
