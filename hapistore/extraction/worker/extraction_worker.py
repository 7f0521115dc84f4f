"""Many extractions in one process, within one memory budget.

Each job runs its network in a child of its own, so that what it takes can be told from what others take, and what ends
it ends nothing else. The planner says who runs with what extraction batches; threads do it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
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
from .options import WorkerOptions
from .schedule import Schedule
from .shared_pixels import PixelHub
from .turns import Turns

_DEFAULT_SHARE = 0.8
_log = logging.getLogger(__name__)


class ExtractionWorker:
    """Takes jobs at any time, from any thread, and runs them until ``close``.

    Args:
        on_progress: called with a job's report as it goes, from the job's thread, and once it has ended, however, from
            a thread that holds no lock of the worker's.
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
        self.loader = Loader(store, self._budget)
        self._checker = JobChecker(store, self.loader.turn)
        self.hub = PixelHub(store, threads=self._options.decode_threads)
        self.turns = Turns(self._options.forward_passes)
        self.stopping = False
        self._changed = threading.Condition(threading.RLock())
        self._jobs: dict[str, ActiveJob] = {}
        self._light = threading.Lock()
        self._kernels_loaded = False
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

        Where all networks are known, nothing is loaded and nobody waited for.

        Raises:
            UsageError: one cannot be done; it is said which, and why. Or the worker has ended.
        """
        self._load_kernels()
        checked = self._checker.check(jobs)
        with self._changed:
            if not self.running:
                self._checker.forget([one.name for one in checked])
                raise UsageError("this worker takes no more jobs: it was closed, or is broken")
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

    def cancel(self, name: str) -> None:
        """Stop a job: after its extraction batch where it runs, at once where it waits. What was stored stays.

        Raises:
            UsageError: there is no such job, or it was forgotten.
        """
        with self._changed:
            if name not in self._jobs:
                raise UsageError(f"there is no job {name!r} here; it was never submitted, or has ended")
            job = self._jobs[name]
            job.cancelled = True
            waited = self._stop_waiting(job)
            if waited:
                self._schedule.ended(job)
            self._changed.notify_all()
        if waited:
            self._ended(job)

    @property
    def running(self) -> bool:
        """Whether it takes jobs: it was not closed, and is not broken."""
        return not self.stopping and self._broken is None

    @property
    def broken(self) -> BaseException | None:
        """What went wrong that is no job's fault, and ended it."""
        return self._broken

    def close(self) -> None:
        """End what runs after its extraction batch, and all processes. What was stored stays."""
        with self._changed:
            self.stopping = True
            threads = [job.thread for job in self._jobs.values() if job.thread]
            waited = [job for job in self._jobs.values() if self._stop_waiting(job)]
        for job in waited:
            self._ended(job)
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
        if job.thread is None:  # else its own will notice
            self._on_thread(self._ended, job)

    def _start(self, job: ActiveJob) -> None:
        if self.stopping:
            return
        now = time.monotonic()
        job.report.deferred_s += now - job.waiting_since
        job.report.state = "running"
        self._on_thread(self._work, job)

    @staticmethod
    def _on_thread(work: Callable[[ActiveJob], None], job: ActiveJob) -> None:
        # A daemon: a second Ctrl-C need not wait for it.
        job.thread = threading.Thread(target=work, args=(job,), name=f"hapistore-job-{job.name}", daemon=True)
        job.thread.start()

    @staticmethod
    def _stop_waiting(job: ActiveJob) -> bool:
        """Whether a job waited, and is stopped now."""
        if job.report.state != "waiting" or job.thread is not None:
            return False
        job.report.state = "stopped"
        return True

    # Working and telling, without the lock.

    def _ended(self, job: ActiveJob) -> None:
        """Tell whoever watches that a job has ended, and forget it if that is wanted."""
        self.progressed(job)
        if not self._options.keep_reports:
            with self._changed:
                del self._jobs[job.name]
                self._checker.forget([job.name])
                self._changed.notify_all()

    def _work(self, job: ActiveJob) -> None:
        try:
            while not self._attempt(job):
                pass
        except BaseException as error:
            with self._changed:
                self._broken, self.stopping, job.thread = error, True, None
                told = job.report.ended
                if not told:
                    job.report.state, job.report.reason = "failed", repr(error)
                self._changed.notify_all()
            if not told:
                self._ended(job)

    def _attempt(self, job: ActiveJob) -> bool:
        """Run a job until it ends or gives way; whether its thread is done."""
        began = time.monotonic()
        state, reason, result = self._extract(job)
        job.let_go(keep=state != "failed")
        with self._changed:
            report = job.report
            report.running_s += time.monotonic() - began
            if state == "paused" and (self.stopping or job.cancelled):
                state = "stopped"
            if state == "paused" and report.state == "running":
                if job.allowed:
                    return False  # started again before it had noticed
                report.state, job.waiting_since = "waiting", time.monotonic()
            elif state == "done" or (state != "paused" and not report.ended):
                report.state, report.reason, report.result = state, reason, result
            job.thread, ended = None, report.ended
            if state != "paused":
                self._schedule.ended(job)
            self._changed.notify_all()
        if ended:
            self._ended(job)
        else:
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
        except Exception as error:
            if not self._options.isolate:
                raise
            _log.exception("job %s failed by an error that is no usual one", job.name)
            return "failed", f"an unexpected error, see the log: {type(error).__name__}: {error}", None

    def _load_kernels(self) -> None:
        """Have numba in memory before a network is exported.

        torch.export puts functions of its own in the place of ``math.pow`` and others while it runs, for every thread;
        numba looks at them when it encodes for the first time.
        """
        if not self._kernels_loaded:
            with self.loader.turn:
                write_feature_shard(np.zeros((1, 8), np.float32), codec="u8c+zstd", recipe="", images="", provenance={})
                self._kernels_loaded = True


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
