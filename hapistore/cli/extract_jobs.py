"""``hapistore extract --jobs``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich import box
from rich.console import Console
from rich.table import Table

from ..catalog import require_store
from ..errors import UsageError
from ..stores import ObjectStore
from ..units import format_bytes, format_seconds
from .common import print_json
from .jobs_file import JobEntry, read_jobs
from .jobs_progress import ShowJobs

# Of the worker; all else is a job's.
_OWN_FLAGS = {"store_url", "memory", "threads", "as_json", "jobs", "child"}
_NETWORK_FIELDS = ("backbone", "weights", "cut", "decoder")
_BATCHES_SHOWN = 6


def refuse_other_flags(context: click.Context) -> None:
    """What a job says is said in the file.

    Raises:
        UsageError: it was said beside it.
    """
    given = [name for name in context.params if context.get_parameter_source(name) == ParameterSource.COMMANDLINE]
    wrong = [name for name in given if name not in _OWN_FLAGS]
    if wrong:
        flags = ", ".join("DATASET" if name == "dataset" else f"--{name.replace('_', '-')}" for name in wrong)
        raise UsageError(f"{flags} beside --jobs: say it in the file, for each job")
    if context.params["child"] is False and "child" in given:
        raise UsageError("--no-child beside --jobs: jobs always have processes of their own")


def run_jobs(store: ObjectStore, path: Path, *, memory: int | None, threads: int | None, as_json: bool) -> None:
    """Run a file's jobs, and leave with 1 where not all are done."""
    entries = read_jobs(path)
    require_store(store)
    from ..extraction import WorkerOptions, extract_jobs  # it takes seconds, and the file may be wrong

    chosen: dict[str, Any] = {"decode_threads": threads} if threads else {}
    options = WorkerOptions(memory_bytes=memory, **chosen)
    with ShowJobs(len(entries)) as progress:
        report = extract_jobs(store, [_job_of(entry) for entry in entries], options, on_progress=progress)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    _warn(report)
    if report.failed:
        sys.exit(1)


def _job_of(entry: JobEntry) -> Any:
    from ..extraction import ExtractionJob, Network

    words = {name.replace("-", "_"): value for name, value in entry.values.items()}
    network = Network(**{name: words.pop(name) for name in _NETWORK_FIELDS if name in words})
    if "codec" in words:
        words["codecs"] = words.pop("codec")
    return ExtractionJob(network=network, where=entry.where, **words)


def _print(report: Any) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("job", "tenant", "state", "images", "images/s", "batches", "memory", "allowed", "deferred", "ran"):
        table.add_column(column, justify="left" if column in ("job", "tenant", "state", "batches") else "right")
    for job in report.jobs:
        table.add_row(
            job.name,
            job.tenant,
            job.state,
            f"{job.done}/{job.total}",
            f"{job.images_per_s:.0f}" if job.images else "",
            _batches(job.batches),
            format_bytes(job.peak_bytes) if job.peak_bytes else "",
            format_bytes(job.granted_bytes) if job.granted_bytes else "",
            format_seconds(job.deferred_s),
            format_seconds(job.running_s),
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    shared = report.taken - report.decoded
    click.echo(
        f"{len(report.jobs) - len(report.failed)} of {len(report.jobs)} jobs done in {format_seconds(report.seconds)}\n"
        f"memory: {format_bytes(report.peak_bytes)} at most of {format_bytes(report.budget_bytes)}; "
        f"{format_bytes(report.base_bytes)} is this process's own, {format_bytes(report.planned_bytes)} was planned\n"
        f"jobs at once: {report.most_running}\n"
        f"images decoded: {report.decoded}" + (f", {shared} of them shared once more" if shared else "")
    )


def _batches(changes: list[tuple[float, int]]) -> str:
    """``1 → 8 → 32``, the middle left out where there are many."""
    sizes = [str(batch) for _, batch in changes]
    if len(sizes) > _BATCHES_SHOWN:
        sizes = [*sizes[:2], "…", *sizes[-2:]]
    return " → ".join(sizes)


def _warn(report: Any) -> None:
    for job in report.failed:
        click.echo(f"{job.name}: {job.state}: {job.reason or 'it was not finished'}", err=True)
    for job in report.jobs:
        left_out = job.result.left_out if job.result else ()
        if left_out:
            click.echo(
                f"warning: {job.name}: {len(left_out)} without features, named with --json; such as "
                f"{left_out[0].key} [{left_out[0].reason}]",
                err=True,
            )
