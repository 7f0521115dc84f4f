"""Progress on stderr: a bar on a terminal, a line now and then in a pipe, nothing for what is over at once."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_SHOW_AFTER_S = 1.0
_LINE_EVERY_S = 10.0


class ShowProgress:
    """A context manager; call it with (done, total).

    Args:
        what: what is being done, e.g. ``ingest pets``.
        unit: what is counted, e.g. ``images``.
    """

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._started = self._last_line = time.monotonic()
        self._bar: Progress | None = None
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> ShowProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._started < _SHOW_AFTER_S:
            return
        if self._terminal:
            self._show_bar(done, total)
        elif now - self._last_line >= _LINE_EVERY_S:
            self._last_line = now
            rate = done / (now - self._started)
            pace = f"{rate:.0f}/s" if rate >= 1 or not done else f"{1 / rate:.1f} s each"
            of = "" if total is None else f" of {total}"
            click.echo(f"{self._what}: {done}{of} {self._unit}, {pace}", err=True)

    def _show_bar(self, done: int, total: int | None) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(self._unit),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.add_task(self._what)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)
