"""Progress of many jobs on stderr: a bar for each that runs on a terminal, lines now and then in a pipe."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

_LINE_EVERY_S = 10.0


class ShowJobs:
    """A context manager; call it with a job's report, from any thread.

    Args:
        count: of jobs.
    """

    def __init__(self, count: int) -> None:
        self._count, self._ended = count, 0
        self._lock = threading.Lock()
        self._states: dict[str, str] = {}
        self._told: dict[str, float] = {}
        self._bars: dict[str, TaskID] = {}
        self._progress: Progress | None = None
        if sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[more]}"),
            )
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)

    def __enter__(self) -> ShowJobs:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def __call__(self, job: Any) -> None:
        with self._lock:
            changed = self._states.get(job.name) != job.state
            self._states[job.name] = job.state
            self._ended += changed and job.ended
            if self._progress:
                self._show_bar(self._progress, job)
            elif (changed and job.ended) or time.monotonic() - self._told.get(job.name, 0.0) >= _LINE_EVERY_S:
                self._told[job.name] = time.monotonic()
                ended = f" ({self._ended} of {self._count} jobs ended)" if job.ended else ""
                click.echo(f"{job.name}: {job.state}, {job.done} of {job.total} images{ended}", err=True)

    def _show_bar(self, progress: Progress, job: Any) -> None:
        if job.name not in self._bars:
            self._bars[job.name] = progress.add_task(job.name, total=job.total, more="")
        batch = f"batch {job.batches[-1][1]}" if job.batches else "loading"
        progress.update(self._bars[job.name], completed=job.done, more=batch)
        if job.state != "running":
            progress.remove_task(self._bars.pop(job.name))
