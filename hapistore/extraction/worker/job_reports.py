"""What a worker says of its jobs: plain data, for people and machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..options import ExtractResult

STATES = ("waiting", "running", "done", "failed", "refused", "stopped")


@dataclass(kw_only=True)
class JobReport:
    """One job, while it goes and afterwards.

    Attributes:
        state: ``waiting`` (for its turn, or for memory), ``running``, ``done``, ``failed``, ``refused`` (it never fits)
            or ``stopped`` (unfinished when the worker was told to end).
        reason: why it failed or was refused.
        done, total: images with features, of all its images.
        images: run through the network here.
        deferred_s: how long it waited for its turn and for memory; running_s: how long it ran since, its loading_s (the
            network, exported, compiled and measured, and waiting for others to do that) among it.
        batches: (seconds since the worker began, extraction batch), an entry for every change.
        peak_bytes: the most that it took, its part of this process included. granted_bytes: the most it was allowed.
        pauses: how often it was stopped for others; restarts: how often its executor's process was started again.
        result: what a finished extraction says.
    """

    name: str
    dataset: str
    recipe: str
    tenant: str
    state: str = "waiting"
    reason: str = ""
    done: int = 0
    total: int = 0
    images: int = 0
    deferred_s: float = 0.0
    running_s: float = 0.0
    loading_s: float = 0.0
    batches: list[tuple[float, int]] = field(default_factory=list)
    peak_bytes: int = 0
    granted_bytes: int = 0
    pauses: int = 0
    restarts: int = 0
    executor: str = ""
    result: ExtractResult | None = None

    @property
    def images_per_s(self) -> float:
        """Since its network was loaded, among the others."""
        seconds = self.running_s - self.loading_s
        return self.images / seconds if seconds > 0 else 0.0

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come."""
        return self.state not in ("waiting", "running")

    def to_json(self) -> dict[str, Any]:
        """Plain data, the images left out named."""
        found = {key: value for key, value in vars(self).items() if key != "result"}
        result = self.result
        return {
            **found,
            "batches": [list(change) for change in self.batches],
            "images_per_s": self.images_per_s,
            "codecs": list(result.codecs) if result else [],
            "version": result.version.number if result else None,
            "left_out": [vars(image) for image in result.left_out] if result else [],
        }


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """All of it.

    Attributes:
        jobs: in the order in which they were submitted.
        budget_bytes: for this process and its executors. base_bytes: what this process took of it for itself.
        planned_bytes: the most that was allowed to jobs at once, the base not counted, which may have been less then.
        peak_bytes: the most that this process and its executors occupied together, as seen after every batch. Pages of
            libraries that several of them map are counted in each.
        most_running: the most jobs that ran at once.
        decoded, taken: images that were decoded, and that jobs were given: the difference was shared.
        evicted: loaded prefixes that had to give way.
    """

    jobs: tuple[JobReport, ...]
    budget_bytes: int
    base_bytes: int
    planned_bytes: int
    peak_bytes: int
    most_running: int
    decoded: int
    taken: int
    evicted: int
    seconds: float

    @property
    def failed(self) -> tuple[JobReport, ...]:
        """Jobs that did not come to a good end."""
        return tuple(job for job in self.jobs if job.state != "done")

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        own = {key: value for key, value in vars(self).items() if key != "jobs"}
        return {**own, "jobs": [job.to_json() for job in self.jobs]}
