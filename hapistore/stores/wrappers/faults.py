"""A store that breaks now and then, in the ways real ones do, by a seed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar, cast

from ...errors import TransientError, UsageError
from ..protocol import ObjectStore
from .wrapped import WrappedStore

_Out = TypeVar("_Out")


@dataclass(frozen=True, kw_only=True)
class FaultRates:
    """How large a part of the requests fails in each way.

    Attributes:
        refused: 503, before anything is done. lost: the request is carried out and its answer lost.
        broken: the connection breaks off before anything is done. truncated: the body ends early, which is noticed.
        stalled: nothing comes for ``stall_s``, then the connection is given up. wrong: a byte of what is read is
            another one, which nobody notices here.
    """

    refused: float = 0.0
    lost: float = 0.0
    broken: float = 0.0
    truncated: float = 0.0
    stalled: float = 0.0
    wrong: float = 0.0
    stall_s: float = 0.05

    def __post_init__(self) -> None:
        rates = [getattr(self, name) for name in _WAYS]
        if min(rates) < 0 or sum(rates) > 1:
            raise UsageError(f"rates of faults are parts of 1, together at most 1, not {rates}")

    @classmethod
    def evenly(cls, rate: float) -> FaultRates:
        """All ways alike, together ``rate``."""
        return cls(**dict.fromkeys(_WAYS, rate / len(_WAYS)))


_WAYS = tuple(field.name for field in fields(FaultRates) if field.name != "stall_s")


class FaultyStore(WrappedStore):
    """Fails by chance. Put a ``RetryingStore`` around it to survive.

    Args:
        seed: of the chances; requests of several threads draw in the order in which they come.
    """

    def __init__(self, inner: ObjectStore, rates: FaultRates, *, seed: int = 0) -> None:
        super().__init__(inner)
        self.rates, self.seed = rates, seed
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., FaultyStore], tuple[ObjectStore, FaultRates, int]]:
        return _rebuild, (self.inner, self.rates, self.seed)

    def around(self, operation: str, name: str, sent: int, request: Callable[[], _Out]) -> _Out:
        way = self._draw()
        if way == "refused":
            raise TransientError("the store answered 503 Slow Down", "a fault made on purpose", throttled=True)
        if way == "broken":
            raise TransientError("the connection broke off", "a fault made on purpose")
        if way == "stalled":
            time.sleep(self.rates.stall_s)
            raise TransientError("the store did not answer in time", "a fault made on purpose")
        result = request()
        if way in ("lost", "truncated"):
            raise TransientError("the answer ended early", "a fault made on purpose")
        if way == "wrong" and isinstance(result, memoryview) and len(result):
            return cast("_Out", self._change(result))
        return result

    def _draw(self) -> str | None:
        with self._lock:
            drawn = self._random.random()
        for way in _WAYS:
            drawn -= getattr(self.rates, way)
            if drawn < 0:
                return way
        return None

    def _change(self, data: memoryview) -> memoryview:
        with self._lock:
            at, bit = self._random.randrange(len(data)), self._random.randrange(8)
        changed = bytearray(data)
        changed[at] ^= 1 << bit
        return memoryview(bytes(changed))


def _rebuild(inner: ObjectStore, rates: FaultRates, seed: int) -> FaultyStore:
    return FaultyStore(inner, rates, seed=seed)
