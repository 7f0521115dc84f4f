"""The extraction batches of all jobs of a worker, planned anew whenever one comes, goes, or shows its memory.

A state machine without a clock, threads or I/O: events in, decisions out. The worker starts, resizes (from its next
extraction batch on), pauses and refuses as it is told.

**How long a request waits.** Call A the requests of tags up to its own that wait when it comes or come later;
`fairness` bounds them by weights and costs. At most A of these go first, and at most `PATIENCE` others. While
anything waits that fits alone, something runs or is admitted. So a request that fits alone is admitted after at most
A + PATIENCE others, as long as those that run come to an end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from typing import Literal

from ..errors import UsageError
from .batch_plan import plan_batches
from .fairness import FairState
from .memory_model import MemoryModel
from .requests import ExtractionRequest
from .throughput import ThroughputCurve


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be extracted for whom.

    Attributes:
        name, tenant, weight, min_batch, max_batch, loaded: as in `ExtractionRequest`.
        model: memory of its prefix, its loading included where the budget is for that too.
        cost: work it is, above 0, in a unit that all jobs share (images times seconds of each, say).
    """

    name: str
    tenant: str
    model: MemoryModel
    curve: ThroughputCurve = field(default_factory=ThroughputCurve)
    weight: float = 1.0
    cost: float = 1.0
    min_batch: int = 1
    max_batch: int = 256
    loaded: bool = False


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the worker is to do with a job.

    Attributes:
        kind: ``start`` or ``resize`` to an extraction batch of ``batch``, ``pause`` until started again, ``refuse``.
        reason: why it is refused: one line for the tenant.
    """

    kind: Literal["start", "resize", "pause", "refuse"]
    name: str
    batch: int = 0
    reason: str = ""


@dataclass
class _Held:
    """A job at hand: batch 0 while it waits; alone: it failed at its smallest batch beside others."""

    job: Job
    turn: float
    arrived: int
    batch: int = 0
    passed_over: int = 0
    alone: bool = False

    def request(self, budget_bytes: int) -> ExtractionRequest:
        """Its memory as a line that is nowhere below the model's bound: the chord of what is convex."""
        job = self.job
        smallest, largest = job.model.upper_bytes(job.min_batch), job.model.upper_bytes(job.max_batch)
        if (self.alone or smallest > budget_bytes) and budget_bytes >= smallest / job.model.raised:
            # It ran out of memory though its model had it fit: the last resort is the whole budget.
            smallest = largest = float(budget_bytes)
        image = (largest - smallest) / max(1, job.max_batch - job.min_batch)
        return ExtractionRequest(
            name=job.name, tenant=job.tenant, weight=job.weight, curve=job.curve,
            fixed_bytes=smallest - image * job.min_batch, bytes_per_image=image,
            min_batch=job.min_batch, max_batch=job.max_batch, loaded=job.loaded, waiting_since=self.arrived,
            running=self.batch > 0, turn=self.turn, passed_over=self.passed_over,
        )  # fmt: skip


class BatchPlanner:
    """Plans one memory budget.

    Args:
        budget_bytes: for all jobs together.
        aim: as in `plan_batches`.
    """

    def __init__(self, budget_bytes: int, *, aim: str = "knee") -> None:
        self._budget, self._aim = budget_bytes, aim
        self._fair = FairState()
        self._held: dict[str, _Held] = {}
        self._arrivals = 0

    @property
    def running(self) -> dict[str, int]:
        """Extraction batch of each job that runs."""
        return {name: held.batch for name, held in self._held.items() if held.batch}

    @property
    def waiting(self) -> list[str]:
        """Jobs that wait, in order of their turns."""
        waiting = [held for held in self._held.values() if not held.batch]
        return [held.job.name for held in sorted(waiting, key=lambda held: (held.turn, held.arrived))]

    @property
    def granted_bytes(self) -> int:
        """Memory of all that runs, by the bounds of their models."""
        requests = [(held.request(self._budget), held.batch) for held in self._held.values() if held.batch]
        return int(sum(request.bytes_at(batch) for request, batch in requests))

    def submit(self, job: Job) -> list[Decision]:
        """A job came. It is refused at once if it can never fit.

        Raises:
            UsageError: a job of that name is there already, or its bounds, weight or cost are not usable.
        """
        if job.name in self._held or not job.cost > 0:
            raise UsageError(f"job {job.name} is there already, or costs nothing")
        request = _Held(job, 0.0, self._arrivals).request(self._budget)
        refused = plan_batches([request], self._budget, aim=self._aim).refused
        if refused:
            return [Decision(kind="refuse", name=job.name, reason=refused[job.name])]
        self._fair, turn = self._fair.arrive(job.tenant, weight=job.weight, cost=job.cost)
        self._held[job.name] = _Held(job, turn, self._arrivals)
        self._arrivals += 1
        return self._plan()

    def finish(self, name: str) -> list[Decision]:
        """A job ended, or was given up, running or not."""
        self._get(name)
        del self._held[name]
        return self._plan()

    def granted(self, name: str) -> int:
        """Memory of a job that runs, by the bound of its model; 0 while it waits."""
        held = self._get(name)
        return math.ceil(held.request(self._budget).bytes_at(held.batch)) if held.batch else 0

    def measured(self, name: str, model: MemoryModel, curve: ThroughputCurve, *, max_batch: int) -> list[Decision]:
        """A job that was submitted by an estimate is known now; it keeps its turn, and runs on if it fits."""
        held = self._get(name)
        held.job = replace(held.job, model=model, curve=curve, max_batch=max(held.job.min_batch, max_batch))
        return self._plan()

    def loaded(self, names: Set[str]) -> None:
        """Whose prefix is in memory just now; it decides among equal turns, from the next event on."""
        for name, held in self._held.items():
            held.job = replace(held.job, loaded=name in names)

    def observe(self, name: str, batch: int, peak_bytes: int, seconds: float) -> list[Decision]:
        """An extraction batch ran; its peak is this job's alone: of a device's pool, or a process of its own."""
        held = self._get(name)
        job = held.job
        held.job = replace(job, model=job.model.observe(batch, peak_bytes), curve=job.curve.observe(batch, seconds))
        return self._plan()

    def out_of_memory(self, name: str, batch: int) -> list[Decision]:
        """An extraction batch did not fit, though its model had it so: at most half of it from now on.

        At its smallest batch a job is paused until it can have the budget for itself; if it had, it is refused.
        """
        held = self._get(name)
        job = held.job
        if batch <= job.min_batch:
            if self.running.keys() - {name}:
                held.alone, held.batch = True, 0
                held.job = replace(job, max_batch=job.min_batch)  # more would run out all the more
                return [Decision(kind="pause", name=name), *self._plan()]
            del self._held[name]
            reason = f"job {name} ran out of memory alone, at its smallest extraction batch of {batch}; cut earlier"
            return [Decision(kind="refuse", name=name, reason=reason), *self._plan()]
        most = min(job.max_batch, max(job.min_batch, batch // 2))
        held.job = replace(job, model=job.model.out_of_memory(), max_batch=most)
        return self._plan()

    def resize_budget(self, budget_bytes: int) -> list[Decision]:
        """The budget is another one from now on."""
        self._budget = budget_bytes
        return self._plan()

    def _get(self, name: str) -> _Held:
        if name not in self._held:
            raise UsageError(f"there is no job {name} here; it was never submitted, or has ended")
        return self._held[name]

    def _plan(self) -> list[Decision]:
        requests = [held.request(self._budget) for held in self._held.values()]
        plan = plan_batches(requests, self._budget, aim=self._aim)
        decisions = []
        for name, reason in plan.refused.items():
            del self._held[name]
            decisions.append(Decision(kind="refuse", name=name, reason=reason))
        for name in plan.deferred:
            held = self._held[name]
            held.passed_over += plan.passed[name]
            if held.batch:
                held.batch = 0
                decisions.append(Decision(kind="pause", name=name))
        self._advance([self._held[name] for name in plan.grants if not self._held[name].batch], plan.deferred)
        decisions += self._granted({name: grant.batch for name, grant in plan.grants.items()})
        return decisions

    def _advance(self, started: list[_Held], deferred: tuple[str, ...]) -> None:
        """Virtual time follows those that went in order; who went before its turn does not move it."""
        first_waiting = min((self._held[name].turn for name in deferred), default=float("inf"))
        for held in started:
            if held.turn <= first_waiting:
                self._fair = self._fair.admit(held.turn)

    def _granted(self, batches: dict[str, int]) -> Iterator[Decision]:
        for name, batch in batches.items():
            held = self._held[name]
            if held.batch != batch:
                yield Decision(kind="resize" if held.batch else "start", name=name, batch=batch)
            held.batch = batch
