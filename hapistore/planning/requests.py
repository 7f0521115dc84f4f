"""What waits for memory, and what it is given: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import UsageError
from .throughput import ThroughputCurve


@dataclass(frozen=True, kw_only=True)
class ExtractionRequest:
    """One request for an extraction batch.

    Attributes:
        name: unlike any other; tenant: whose it is; weight: the tenant's share of turns, above 0.
        fixed_bytes, bytes_per_image: memory of an extraction batch of n: ``fixed_bytes + n * bytes_per_image``.
        min_batch, max_batch: smallest extraction batch worth running, and largest.
        curve: images a second by extraction batch, where known.
        waiting_since: any clock that all share; decides among equal turns.
        loaded: its prefix is in memory already, which decides among equal turns too.
        running: it was admitted before, and goes before all that were not.
        turn: its tag in the fair order; None: by weight and ``waiting_since`` among the requests given.
        passed_over: how many requests behind it were admitted while it waited.
    """

    name: str
    tenant: str
    fixed_bytes: float
    bytes_per_image: float
    weight: float = 1.0
    min_batch: int = 1
    max_batch: int = 256
    curve: ThroughputCurve | None = None
    waiting_since: float = 0.0
    loaded: bool = False
    running: bool = False
    turn: float | None = None
    passed_over: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.min_batch <= self.max_batch:
            raise UsageError(f"request {self.name}: extraction batches {self.min_batch} to {self.max_batch} are none")
        if not self.weight > 0 or self.bytes_per_image < 0 or self.bytes_at(self.min_batch) < 0:
            raise UsageError(f"request {self.name}: the weight must be above 0, sizes must not be below")

    def bytes_at(self, batch: int) -> float:
        """Memory of an extraction batch."""
        return self.fixed_bytes + batch * self.bytes_per_image

    def most_useful(self, aim: str) -> int:
        """The largest extraction batch that brings something: for aim ``knee`` the curve's knee, if it is known."""
        knee = self.curve.knee() if self.curve and aim == "knee" else None
        return self.max_batch if knee is None else min(self.max_batch, max(self.min_batch, knee))


@dataclass(frozen=True, kw_only=True)
class Grant:
    """An extraction batch, and the memory it takes."""

    batch: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """Who runs with what.

    Attributes:
        grants: by name, in order of admission.
        deferred: names that wait, in order of their turns.
        passed: of these, how many behind each were admitted by this plan.
        refused: names that fit in no circumstances, with the reason.
    """

    grants: Mapping[str, Grant]
    deferred: tuple[str, ...]
    passed: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Memory of all grants."""
        return sum(grant.bytes for grant in self.grants.values())
