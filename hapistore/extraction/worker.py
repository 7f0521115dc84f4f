"""Many extractions in one process, within one memory budget.

Each job runs its network in a child of its own, so that what it takes can be told from what others take, and what ends
it ends nothing else. The planner says who runs with what extraction batches; threads do it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from hapistore_format import write_feature_shard

from ..errors import HapistoreError, UsageError
from ..planning import BatchPlanner, Decision, Job, MemoryModel, ThroughputCurve
from ..planning.batch_plan import PAGE_BYTES
from ..stores import ObjectStore
from ..units import format_bytes
from . import memory
from .active_job import ActiveJob
from .job_reports import JobReport, WorkerReport
from .job_run import Paused, Stopped
from .jobs import ExtractionJob, JobChecker
from .loading import Loader
from .options import ExtractResult
from .profiles import ExtractionProfile
from .residency import Residency
from .shared_pixels import PixelHub
from .turns import AT_ONCE, Turns

_DEFAULT_SHARE = 0.8
# Of the budget; what this process takes is not still.
_RESERVE = 0.03


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How a worker works.

    Attributes:
        memory_bytes: what it and its executors may occupy together; default 80 % of what is free.
        decode_threads: how many images are decoded at once.
        forward_passes: how many run at once.
        aim: ``knee`` or ``memory``, as in `plan_batches`.
    """

    memory_bytes: int | None = None
    decode_threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    forward_passes: int = AT_ONCE
    aim: str = "knee"

    def __post_init__(self) -> None:
        if self.decode_threads < 1 or self.forward_passes < 1:
            raise UsageError("the numbers of decoding threads and of forward passes are at least 1")


class ExtractionWorker:
    """Takes jobs at any time, from any thread, and runs them until ``close``.

    Args:
        on_progress: called with a job's report as it goes, from the job's thread.
    """

    def __init__(
        self,
        store: ObjectStore,
        options: WorkerOptions | None = None,
        *,
        on_progress: Callable[[JobReport], None] | None = None,
    ) -> None:
        self.store = store
        self._options = options or WorkerOptions()
        self._budget = self._options.memory_bytes or memory.resident_bytes() + int(_DEFAULT_SHARE * memory.free_bytes())
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._checker = JobChecker(store)
        self.loader = Loader(store, self._budget)
        self.hub = PixelHub(store, threads=self._options.decode_threads)
        self.turns = Turns(self._options.forward_passes)
        self.stopping = False
        self._changed = threading.Condition(threading.RLock())
        self._jobs: dict[str, ActiveJob] = {}
        self._planned: set[str] = set()
        self._light = threading.Lock()
        self._broken: BaseException | None = None
        self._base = self._planned_bytes = self._peak = self._most_running = 0
        self.residency = Residency(0)
        self._planner = BatchPlanner(0, aim=self._options.aim)

    def __enter__(self) -> ExtractionWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, jobs: Sequence[ExtractionJob]) -> list[str]:
        """Check jobs, all or none, and start what fits. Returns their names.

        Raises:
            UsageError: one cannot be done; it is said which, and why.
        """
        with self.loader.turn:
            checked = self._checker.check(jobs)
            _load_kernels()
            memory.reset_peak()  # gives back what networks took that were looked at
        with self._changed:
            self.rebase()
            for one in checked:
                job = self._jobs[one.name] = ActiveJob(one, self, self._began)
                job.waiting_since = time.monotonic()
                if one.to_run:
                    self._plan(job)
                else:
                    job.allowed = 1
                    self._start(job)
        return [one.name for one in checked]

    def wait(self) -> WorkerReport:
        """Wait until every job has ended.

        Raises:
            Exception: whatever went wrong that is no job's fault.
        """
        with self._changed:
            while self._broken is None and not all(job.report.ended for job in self._jobs.values()):
                self._changed.wait(0.5)  # Ctrl-C comes between
            broken = self._broken
        if broken is not None:
            raise broken
        return self.report()

    def close(self) -> None:
        """End what runs after its extraction batch, and all processes. What was stored stays."""
        with self._changed:
            self.stopping = True
            threads = [job.thread for job in self._jobs.values() if job.thread]
            for job in self._jobs.values():
                if job.report.state == "waiting" and job.thread is None:
                    job.report.state = "stopped"
        for thread in threads:
            thread.join()
        self.residency.close()
        self.hub.close()

    def report(self) -> WorkerReport:
        """How it stands."""
        with self._changed:
            return WorkerReport(
                jobs=tuple(job.report for job in self._jobs.values()),
                budget_bytes=self._budget,
                base_bytes=self._base,
                planned_bytes=self._planned_bytes,
                peak_bytes=self._peak,
                most_running=self._most_running,
                decoded=self.hub.decoded,
                taken=self.hub.taken,
                evicted=self.residency.evicted,
                seconds=time.monotonic() - self._began,
            )

    # What jobs tell it.

    def granted(self, job: ActiveJob) -> int:
        """Memory that the plan has for a job."""
        with self._changed:
            return self._planner.granted(job.name) if job.name in self._planned else 0

    def measured(self, job: ActiveJob, profile: ExtractionProfile) -> None:
        """A prefix is known now, for all jobs that want it."""
        key = self.loader.key(job.checked)
        with self._changed:
            for other in list(self._jobs.values()):
                if other.guessed and other.name in self._planned and self.loader.key(other.checked) == key:
                    other.guessed = False
                    model, most = other.model_of(profile), other.checked.job.max_batch
                    self._apply(self._planner.measured(other.name, model, profile.curve, max_batch=most))

    def observed(self, job: ActiveJob, rows: int, peak_bytes: int, seconds: float) -> None:
        """A batch ran."""
        with self._changed:
            if job.name in self._planned:
                self._apply(self._planner.observe(job.name, rows, peak_bytes, seconds))

    def out_of_memory(self, job: ActiveJob, rows: int) -> None:
        """A batch did not fit."""
        with self._changed:
            if job.name in self._planned:
                self._apply(self._planner.out_of_memory(job.name, rows))

    def look(self) -> None:
        """Look what this process and its executors occupy just now."""
        with self._changed:
            executors = [job.loaded.executor for job in self._jobs.values() if job.loaded]
            occupied = memory.resident_bytes() + sum(memory.occupied_bytes(executor.pid) for executor in executors)
            self._peak = max(self._peak, occupied)

    def rebase(self) -> None:
        """Look again what this process takes for itself; the rest is the jobs'."""
        with self._changed:
            running = [job for job in self._jobs.values() if job.loaded]
            own = memory.resident_bytes() - sum(job.host_bytes for job in running)
            self._base = max(self._base, own)
            rest = self._rest
            self.residency.resize(rest)
            for job in self._jobs.values():
                if job.guessed and job.name in self._planned:  # an estimate is no reason to refuse
                    guess = self._planner.measured(job.name, self._guess(job), ThroughputCurve(), max_batch=1)
                    self._apply(guess)
            self._apply(self._planner.resize_budget(rest))

    def progressed(self, job: ActiveJob) -> None:
        """Tell whoever watches."""
        if self._on_progress:
            self._on_progress(job.report)

    # Deciding and starting, with the lock held.

    def _plan(self, job: ActiveJob) -> None:
        checked = job.checked
        profile = self.loader.profile(checked)
        if profile is None:
            model, most = self._guess(job), 1
        else:
            model, most = job.model_of(profile), checked.job.max_batch
        job.guessed = profile is None
        self._planned.add(job.name)
        wanted = Job(
            name=job.name,
            tenant=checked.job.tenant,
            weight=checked.job.weight,
            cost=self.loader.guess_seconds(checked),
            model=model,
            max_batch=most,
            loaded=self.residency.is_loaded(self.loader.key(checked)),
            curve=profile.curve if profile else ThroughputCurve(),
        )
        self._apply(self._planner.submit(wanted))

    @property
    def _rest(self) -> int:
        """What the budget has for jobs."""
        rest = max(0, int(self._budget * (1 - _RESERVE)) - self._base)
        return rest // PAGE_BYTES * PAGE_BYTES

    def _guess(self, job: ActiveJob) -> MemoryModel:
        """An estimate; all that there is, where it is more."""
        guess = min(self._rest, self.loader.guess_bytes(job.checked) + job.host_bytes)
        return MemoryModel.fit([(1, guess), (2, guess)])

    def _apply(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            job = self._jobs[decision.name]
            job.allowed = decision.batch
            if decision.kind == "start" and job.thread is None and not self.stopping:
                self._start(job)
            elif decision.kind == "pause":
                job.report.pauses += 1
            elif decision.kind == "refuse":
                self._planned.discard(job.name)
                self._refuse(job, decision.reason)
        self._planned_bytes = max(self._planned_bytes, self._planner.granted_bytes)
        self._most_running = max(self._most_running, len(self._planner.running))
        for name in self._planner.running:
            report = self._jobs[name].report
            report.granted_bytes = max(report.granted_bytes, self._planner.granted(name))
        self._changed.notify_all()

    def _mark_loaded(self) -> None:
        """Among equal turns, those go first whose network is there."""
        keys = {name: self.loader.key(self._jobs[name].checked) for name in self._planner.waiting}
        self._planner.loaded({name for name, key in keys.items() if self.residency.is_loaded(key)})

    def _refuse(self, job: ActiveJob, reason: str) -> None:
        own = f"this process takes {format_bytes(self._base)} of {format_bytes(self._budget)}"
        job.report.state, job.report.reason = "refused", f"{reason} ({own})"
        self.progressed(job)

    def _start(self, job: ActiveJob) -> None:
        now = time.monotonic()
        job.report.deferred_s += now - job.waiting_since
        job.report.state = "running"
        # A daemon: a second Ctrl-C need not wait for it.
        job.thread = threading.Thread(target=self._work, args=(job,), name=f"hapistore-job-{job.name}", daemon=True)
        job.thread.start()

    def _work(self, job: ActiveJob) -> None:
        try:
            while not self._attempt(job):
                pass
        except BaseException as error:
            with self._changed:
                self._broken, self.stopping, job.thread = error, True, None
                job.report.state, job.report.reason = "failed", repr(error)
                self._changed.notify_all()

    def _attempt(self, job: ActiveJob) -> bool:
        """Run a job until it ends or gives way; whether its thread is done."""
        began = time.monotonic()
        state, reason, result = self._extract(job)
        job.let_go(keep=state != "failed")
        with self._changed:
            report = job.report
            report.running_s += time.monotonic() - began
            if state == "paused" and report.state == "running":
                if job.allowed:
                    return False  # started again before it had noticed
                report.state, job.waiting_since = "waiting", time.monotonic()
            elif state != "paused":
                report.state, report.reason, report.result = state, reason, result
            job.thread = None
            if state != "paused" and job.name in self._planned:
                self._planned.discard(job.name)
                self._mark_loaded()
                self._apply(self._planner.finish(job.name))
            self._changed.notify_all()
        self.progressed(job)
        return True

    def _extract(self, job: ActiveJob) -> tuple[str, str, ExtractResult | None]:
        try:
            if job.checked.to_run:
                return "done", "", job.extract()
            with self._light:  # no network: one at a time
                return "done", "", job.extract()
        except Paused:
            return "paused", "", None
        except Stopped:
            return "stopped", "", None
        except HapistoreError as error:
            return "failed", str(error), None


def _load_kernels() -> None:
    """Have numba in memory before a network is exported.

    torch.export puts functions of its own in the place of ``math.pow`` and others while it runs, for every thread;
    numba looks at them when it encodes for the first time.
    """
    write_feature_shard(np.zeros((1, 8), np.float32), codec="u8c+zstd", recipe="", images="", provenance={})


def extract_jobs(
    store: ObjectStore,
    jobs: Sequence[ExtractionJob],
    options: WorkerOptions | None = None,
    *,
    on_progress: Callable[[JobReport], None] | None = None,
) -> WorkerReport:
    """Extract many datasets with many networks within one memory budget, each as ``extract`` does it.

    A job that fails or never fits is told in the report, and costs no other.

    Args:
        on_progress: called with a job's report as it goes, from the job's thread.

    Raises:
        UsageError: a job cannot be done; nothing was written.
    """
    with ExtractionWorker(store, options, on_progress=on_progress) as worker:
        worker.submit(jobs)
        return worker.wait()
