"""Who of a worker's jobs runs with what extraction batches: the planner's decisions, kept up to date and handed on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ...planning import BatchPlanner, Decision, Job, MemoryModel, ThroughputCurve
from ...planning.batch_plan import PAGE_BYTES
from ...units import format_bytes
from .. import memory
from ..profiles import ExtractionProfile
from .active_job import ActiveJob
from .loading import Loader
from .residency import Residency

# Of the budget; what this process takes is not still.
_RESERVE = 0.03


class Schedule:
    """Plans the memory that this process itself leaves of a budget.

    Args:
        lock: the worker's; held whenever something is decided, and notified then.
        start: runs a job on a thread; refuse: ends a job that never fits, with the reason; called with the lock held.
        resident_bytes: what this process takes.

    Attributes:
        residency: what is really held. base_bytes: what this process takes for itself.
        planned_bytes: the most that was allowed to jobs at once; most_running: the most jobs that were.
    """

    def __init__(
        self,
        budget_bytes: int,
        loader: Loader,
        lock: threading.Condition,
        *,
        aim: str,
        start: Callable[[ActiveJob], None],
        refuse: Callable[[ActiveJob, str], None],
        resident_bytes: Callable[[], int] = memory.resident_bytes,
    ) -> None:
        self._budget, self._loader, self._lock = budget_bytes, loader, lock
        self._start, self._refuse, self._resident_bytes = start, refuse, resident_bytes
        self._jobs: dict[str, ActiveJob] = {}
        self._planner = BatchPlanner(0, aim=aim)
        self.residency = Residency(0)
        self.base_bytes = self.planned_bytes = self.most_running = 0

    def submit(self, job: ActiveJob) -> None:
        """A job came."""
        checked = job.checked
        profile = self._loader.profile(checked)
        job.guessed = profile is None
        if profile and not self._most(job, profile):
            with self._lock:
                self._refuse(job, self._too_large(job, profile))
            return
        wanted = Job(
            name=job.name,
            tenant=checked.job.tenant,
            weight=checked.job.weight,
            cost=self._loader.guess_seconds(checked),
            model=job.model_of(profile) if profile else self._guess(job),
            curve=profile.curve if profile else ThroughputCurve(),
            max_batch=self._most(job, profile) if profile else 1,
            loaded=self.residency.is_loaded(self._loader.key(checked)),
        )
        with self._lock:
            self._jobs[job.name] = job
            self._apply(self._planner.submit(wanted))

    def ended(self, job: ActiveJob) -> None:
        """A job ended; nothing happens where it was refused, or never planned."""
        with self._lock:
            if job.name not in self._jobs:
                return
            keys = {name: self._loader.key(self._jobs[name].checked) for name in self._planner.waiting}
            self._planner.loaded({name for name, key in keys.items() if self.residency.is_loaded(key)})
            del self._jobs[job.name]
            self._apply(self._planner.finish(job.name))

    def granted(self, job: ActiveJob) -> int:
        """Memory that the plan has for a job."""
        with self._lock:
            return self._planner.granted(job.name) if job.name in self._jobs else 0

    def measured(self, job: ActiveJob, profile: ExtractionProfile) -> None:
        """A prefix is known now, for all jobs that want it."""
        key = self._loader.key(job.checked)
        with self._lock:
            for other in list(self._jobs.values()):
                if other.guessed and other.name in self._jobs and self._loader.key(other.checked) == key:
                    other.guessed = False
                    self._measured(other, profile)

    def _measured(self, job: ActiveJob, profile: ExtractionProfile) -> None:
        most = self._most(job, profile)
        if most:
            decisions = self._planner.measured(job.name, job.model_of(profile), profile.curve, max_batch=most)
        else:
            decisions = self._planner.finish(job.name)
            job.allowed = 0
            del self._jobs[job.name]
            self._refuse(job, self._too_large(job, profile))
        self._apply(decisions)

    @staticmethod
    def _most(job: ActiveJob, profile: ExtractionProfile) -> int:
        """Images of its largest extraction batch, by its own bounds; 0: not even one is within them."""
        most, memory_bytes = job.checked.max_batch, job.checked.job.memory_bytes
        return most if memory_bytes is None else job.model_of(profile).largest_within(memory_bytes, most)

    @staticmethod
    def _too_large(job: ActiveJob, profile: ExtractionProfile) -> str:
        needed = format_bytes(int(job.model_of(profile).upper_bytes(1)))
        allowed = format_bytes(job.checked.job.memory_bytes or 0)
        return f"one image takes {needed}, and the tenant is allowed {allowed}"

    def observed(self, job: ActiveJob, rows: int, peak_bytes: int, seconds: float) -> None:
        """An extraction batch ran."""
        with self._lock:
            if job.name in self._jobs:
                self._apply(self._planner.observe(job.name, rows, peak_bytes, seconds))

    def out_of_memory(self, job: ActiveJob, rows: int) -> None:
        """An extraction batch did not fit."""
        with self._lock:
            if job.name in self._jobs:
                self._apply(self._planner.out_of_memory(job.name, rows))

    def rebase(self) -> None:
        """Look again what this process takes for itself; the rest is the jobs'."""
        with self._lock:
            running = [job for job in self._jobs.values() if job.loaded]
            own = self._resident_bytes() - sum(job.host_bytes for job in running)
            self.base_bytes = max(self.base_bytes, own)
            self.residency.resize(self._rest)
            for job in list(self._jobs.values()):
                if job.guessed and job.name in self._jobs:  # an estimate is no reason to refuse
                    guess = self._planner.measured(job.name, self._guess(job), ThroughputCurve(), max_batch=1)
                    self._apply(guess)
            self._apply(self._planner.resize_budget(self._rest))

    @property
    def _rest(self) -> int:
        """What the budget has for jobs."""
        rest = max(0, int(self._budget * (1 - _RESERVE)) - self.base_bytes)
        return rest // PAGE_BYTES * PAGE_BYTES

    def _guess(self, job: ActiveJob) -> MemoryModel:
        """An estimate; all that there is, where it is more."""
        guess = min(self._rest, self._loader.guess_bytes(job.checked) + job.host_bytes)
        return MemoryModel.fit([(1, guess), (2, guess)])

    def _apply(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            job = self._jobs[decision.name]
            job.allowed = decision.batch
            if decision.kind == "start" and job.thread is None:
                self._start(job)
            elif decision.kind == "pause":
                job.report.pauses += 1
            elif decision.kind == "refuse":
                del self._jobs[job.name]
                self._refuse(job, decision.reason)
        self.planned_bytes = max(self.planned_bytes, self._planner.granted_bytes)
        self.most_running = max(self.most_running, len(self._planner.running))
        for name in self._planner.running:
            report = self._jobs[name].report
            report.granted_bytes = max(report.granted_bytes, self._planner.granted(name))
        self._lock.notify_all()
