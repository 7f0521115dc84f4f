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

from ...errors import HapistoreError, UsageError
from ...stores import ObjectStore
from ...units import format_bytes
from .. import memory
from ..options import ExtractResult
from .active_job import ActiveJob
from .job_reports import JobReport, WorkerReport
from .job_run import Paused, Stopped
from .jobs import ExtractionJob, JobChecker
from .loading import Loader
from .schedule import Schedule
from .shared_pixels import PixelHub
from .turns import AT_ONCE, Turns

_DEFAULT_SHARE = 0.8


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
        self._light = threading.Lock()
        self._broken: BaseException | None = None
        self._peak = 0
        self._schedule = Schedule(
            self._budget, self.loader, self._changed, aim=self._options.aim, start=self._start, refuse=self._refuse
        )

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
            self._schedule.rebase()
            for one in checked:
                job = self._jobs[one.name] = ActiveJob(one, self, self._schedule, self._began)
                job.waiting_since = time.monotonic()
                if one.to_run:
                    self._schedule.submit(job)
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
        self._schedule.residency.close()
        self.hub.close()

    def report(self) -> WorkerReport:
        """How it stands."""
        with self._changed:
            return WorkerReport(
                jobs=tuple(job.report for job in self._jobs.values()),
                budget_bytes=self._budget,
                base_bytes=self._schedule.base_bytes,
                planned_bytes=self._schedule.planned_bytes,
                peak_bytes=self._peak,
                most_running=self._schedule.most_running,
                decoded=self.hub.decoded,
                taken=self.hub.taken,
                evicted=self._schedule.residency.evicted,
                seconds=time.monotonic() - self._began,
            )

    # What jobs ask of it.

    def look(self) -> None:
        """Look what this process and its executors occupy just now."""
        with self._changed:
            executors = [job.loaded.executor for job in self._jobs.values() if job.loaded]
            occupied = memory.resident_bytes() + sum(memory.occupied_bytes(executor.pid) for executor in executors)
            self._peak = max(self._peak, occupied)

    def progressed(self, job: ActiveJob) -> None:
        """Tell whoever watches."""
        if self._on_progress:
            self._on_progress(job.report)

    # Starting and ending, with the lock held.

    def _refuse(self, job: ActiveJob, reason: str) -> None:
        own = f"this process takes {format_bytes(self._schedule.base_bytes)} of {format_bytes(self._budget)}"
        job.report.state, job.report.reason = "refused", f"{reason} ({own})"
        self.progressed(job)

    def _start(self, job: ActiveJob) -> None:
        if self.stopping:
            return
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
            if state != "paused":
                self._schedule.ended(job)
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
