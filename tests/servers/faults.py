"""What the proxies that break things have in common: how often, in which way, and what they have done so far."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Faults:
    """Where a proxy listens, how much it breaks, and what it has done so far.

    Attributes:
        upstream: the server behind it, ``http://host:port``; endpoint: the same of itself.
        rate: part of what passes that fails, in all ``ways`` alike; may be changed at any time.
        stall_s: how long a stalled connection is kept open.
        only: of HTTP: break those requests only whose path has this text.
        passed: of HTTP: method, path and status of what was handed on.
    """

    upstream: str
    rate: float
    ways: tuple[str, ...]
    stall_s: float = 3.0
    seed: int = 0
    endpoint: str = ""
    only: str = ""
    done: Counter[str] = field(default_factory=Counter)
    passed: list[tuple[str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        self._deck: list[str] = []

    def draw(self, *, but: str = "") -> str:
        """What happens to the next one, counted: one of the ways, none again before all have been, or ``passed``."""
        ways = {way for way in self.ways if way != but}
        with self._lock:
            way = "passed"
            if ways and self._random.random() < self.rate:
                if not self._deck or not ways >= set(self._deck):
                    self._deck = self._random.sample(sorted(ways), len(ways))
                way = self._deck.pop()
            self.done[way] += 1
            return way

    def happens(self, way: str) -> bool:
        """Whether this happens now; counted if it does."""
        with self._lock:
            happens = way in self.ways and self._random.random() < self.rate
            self.done[way] += happens
            return happens

    def pick(self, count: int) -> int:
        with self._lock:
            return self._random.randrange(count)

    def noise(self, count: int) -> bytes:
        with self._lock:
            return self._random.randbytes(count)


def reset(connection: socket.socket) -> None:
    """Close at once, with RST: unsent data is dropped."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
