"""A store behind a slow link: latency for each request, bandwidth shared by all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ...errors import UsageError
from ..protocol import ObjectStore
from .wrapped import WrappedStore, received_bytes

_Out = TypeVar("_Out")


class LinkStore(WrappedStore):
    """Delays requests as a link would.

    Args:
        latency_s: of a request and its answer; bytes_s: of all requests at once, in either direction.
    """

    def __init__(self, inner: ObjectStore, *, latency_s: float = 0.0, bytes_s: float = float("inf")) -> None:
        super().__init__(inner)
        if latency_s < 0 or bytes_s <= 0:
            raise UsageError("a link has a latency of 0 or more and a positive bandwidth")
        self.latency_s, self.bytes_s = latency_s, bytes_s
        self._lock = threading.Lock()
        self._free_at = 0.0

    def __reduce__(self) -> tuple[Callable[..., LinkStore], tuple[ObjectStore, float, float]]:
        return _rebuild, (self.inner, self.latency_s, self.bytes_s)

    def around(self, operation: str, name: str, sent: int, request: Callable[[], _Out]) -> _Out:
        time.sleep(self.latency_s)
        self._transfer(sent)
        result = request()
        self._transfer(received_bytes(result))
        return result

    def _transfer(self, size: int) -> None:
        """Take the link for as long as the bytes need; who comes later begins later."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + size / self.bytes_s
            wait = self._free_at - now
        time.sleep(wait)


def _rebuild(inner: ObjectStore, latency_s: float, bytes_s: float) -> LinkStore:
    return LinkStore(inner, latency_s=latency_s, bytes_s=bytes_s)
