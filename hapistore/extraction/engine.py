"""What an extraction wants of whatever runs its network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from .bad_images import BadImage
from .executors import ExecutorChoice
from .grouping import Part
from .pixels import ShardPixels
from .trace import Trace


class Forwarding(Protocol):
    """What runs a prefix over shards, in the order in which they were given; as `Forward`."""

    choice: ExecutorChoice
    provenance: dict[str, Any]

    @property
    def batch(self) -> int: ...
    @property
    def peak_bytes(self) -> int: ...
    @property
    def restarts(self) -> int: ...
    def next_shard(
        self, rows: int, out: Sequence[np.ndarray], on_rows: Callable[[int], None]
    ) -> list[dict[int, BadImage]]: ...
    def close(self) -> None: ...


class Engine(Protocol):
    """Where forward passes come from: an executor of one's own, or a worker that others use too."""

    def most_at_once(self, rows: int) -> int:
        """How many recipes' features of a shard of so many rows may be in memory together."""

    def arrange(self, groups: Sequence[Sequence[Part]]) -> Sequence[Sequence[Part]]:
        """The order that suits it."""

    def open(self, wanted: Sequence[ShardPixels], trace: Trace) -> Forwarding:
        """Begin to run over these shards."""
