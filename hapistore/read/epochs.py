"""What readers of features and of images share: steps, plans, threads that work ahead, and where one stands."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from hapistore_format import FormatError

from ..errors import HapistoreError
from ..threads import map_ahead
from .audit import AuditLog, Leg, hash_rows
from .options import ReadOptions
from .selection import Selection
from .state import Progress
from .stats import ReadStats
from .steps import Steps

_log = logging.getLogger(__name__)
# A thread makes at most so much at once: what it costs to hand it work, 0.3 ms of a core, is little beside it then.
_AT_ONCE_BYTES, _STEPS_AT_ONCE = 32 << 20, 64
MOST_THREADS = 4
_STALL_S = 60.0
# Shards are fetched for so many plans before they are wanted, as far as there is memory.
_PLANS_AHEAD = 16


class Common(NamedTuple):
    """What every kind of training batch has; see `Batch`."""

    targets: np.ndarray | None
    rows: np.ndarray
    columns: Mapping[str, np.ndarray]
    padding: int
    position: int


class _Rows(Protocol):
    @property
    def rows(self) -> np.ndarray: ...
    @property
    def padding(self) -> int: ...
    @property
    def position(self) -> int: ...


_Batch = TypeVar("_Batch", bound=_Rows)


class Plan(NamedTuple):
    """Some training batches that are made together: which rows they have, and where each ends.

    Attributes:
        rows: int64 [k], row numbers over the version's shards; places: the same among those selected.
        ends: where each batch ends; steps: their numbers.
    """

    rows: np.ndarray
    places: np.ndarray
    ends: list[int]
    steps: range
    epoch: int
    rank: int

    def parts(self) -> list[slice]:
        """Where each training batch is."""
        return [slice(*pair) for pair in pairwise([0, *self.ends])]

    def split(self) -> Iterator[Plan]:
        """A plan for each training batch."""
        for number, part in enumerate(self.parts()):
            rows, steps = self.rows[part], self.steps[number : number + 1]
            yield self._replace(rows=rows, places=self.places[part], ends=[len(rows)], steps=steps)


class EpochReader(Generic[_Batch]):
    """Reads training batches, ahead of who asks for them. The order depends on options and epoch, never on who reads.

    ``for batch in reader`` reads an epoch, the next one each time, or what was left of one where ``load_state_dict``
    came before.

    Args:
        identity: of what is read; a state of something else is refused.
        row_bytes: size of a row in a training batch, roughly.
        url: where it is read from, for messages.
    """

    def __init__(
        self, selection: Selection, options: ReadOptions, *, identity: Mapping[str, Any], row_bytes: int, url: str
    ) -> None:
        self.options = options
        self._selection, self._row_bytes, self._url = selection, row_bytes, url
        self._stats = ReadStats()
        self._progress = Progress(view=identity, order=selection.identity)

    @property
    def rows(self) -> int:
        """How many rows an epoch has, over all ranks."""
        return self._selection.epoch_rows

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by target, where the label column is text."""
        return self._selection.classes

    def stats(self) -> ReadStats:
        """What was read so far, and what it took."""
        return self._stats.copy()

    def steps(self, ranks: int = 1, *, start: int = 0) -> Steps:
        """The training steps of an epoch, or of what is left of it after ``start`` rows."""
        global_batch = self.options.global_batch_size or self.options.batch_size * ranks
        return Steps(rows=self.rows, global_batch=global_batch, ranks=ranks, last=self.options.last, start=start)

    def epoch(
        self,
        epoch: int,
        *,
        rank: int = 0,
        ranks: int = 1,
        worker: int = 0,
        workers: int = 1,
        start: int = 0,
        skip: int = 0,
    ) -> Iterator[_Batch]:
        """Training batches of an epoch: of every step the slice of ``rank``, every ``workers``-th from ``worker`` on.

        Args:
            start: rows of the epoch that have been read, by all ranks: the ``position`` of a batch.
            skip: so many batches of this worker's share are left out.

        Raises:
            NotFound, FormatError: a shard is gone or damaged; it is named.
        """
        steps = self.steps(ranks, start=start)
        numbers = range(worker + skip * workers, steps.count, workers)
        step_bytes = self._row_bytes * -(-steps.global_batch // ranks)
        threads = self.options.threads or (1 if workers > 1 else min(MOST_THREADS, _cores()))
        at_once_bytes = min(_AT_ONCE_BYTES, self.options.ahead_bytes // threads)
        at_once = max(1, min(_STEPS_AT_ONCE, at_once_bytes // step_bytes))

        plans = (self._plan(steps, part, rank, epoch) for part in _cut(numbers, at_once))
        made = map_ahead(
            lambda plan: self._make(plan, steps),
            self._prefetched(plans),
            threads=threads,
            ahead=max(threads, self.options.ahead_bytes // (step_bytes * at_once)),
            name="hapistore-read",
            on_stall=(_STALL_S, self._say_stall),
        )
        log = self._audit_log(epoch, start, rank, ranks, worker, workers)
        with self._announced(epoch), contextlib.closing(log) if log else contextlib.nullcontext():
            spans = (steps.span(number, rank) for number in numbers)
            yield from self._hand_out(made, spans, log)

    def __iter__(self) -> Iterator[_Batch]:
        epoch, start, _ = self._progress.begin()
        for batch in self.epoch(epoch, start=start):
            self._progress.read(batch.position)
            yield batch
        self._progress.read(self.rows)

    def state_dict(self) -> dict[str, Any]:
        """Where ``for batch in reader`` stands: plain numbers and texts."""
        return self._progress.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there with the next ``for batch in reader``.

        Raises:
            UsageError: it is of another view or order, or no state.
        """
        self._progress.load_state_dict(state)

    def progress(self) -> Progress:
        """A progress of its own for whoever iterates by ``epoch``, from the first epoch on."""
        return self._progress.new()

    def close(self) -> None:
        """End its threads; what is iterated later begins new ones."""

    def _announced(self, epoch: int) -> contextlib.AbstractContextManager[None]:
        """Whoever keeps shards for it knows meanwhile which the epoch will want."""
        return contextlib.nullcontext()

    def _prefetched(self, plans: Iterator[Plan]) -> Iterator[Plan]:
        """The same plans, what they want being fetched some of them ahead, farther than batches are made."""
        ahead: deque[Plan] = deque()
        for plan in plans:
            ahead.append(plan)
            if self._prefetch(ahead) and len(ahead) < _PLANS_AHEAD:
                continue
            yield ahead.popleft()
        yield from ahead

    def _prefetch(self, plans: Sequence[Plan]) -> bool:
        """Begin to fetch what the last plan will want; whether there is memory for more than these plans want."""
        return False

    def _inputs(self, plan: Plan) -> Any:
        """What is trained on, of all rows of a plan."""
        raise NotImplementedError

    def _batch(self, inputs: Any, part: slice, common: Common) -> _Batch:
        raise NotImplementedError

    def _waiting_for(self) -> list[tuple[str, float]]:
        """Names of objects that are being opened, and for how many seconds."""
        raise NotImplementedError

    def _plan(self, steps: Steps, numbers: range, rank: int, epoch: int) -> Plan:
        spans = [steps.span(step, rank) for step in numbers]
        positions = np.concatenate([np.arange(*span) for span in spans])
        places = self._selection.order.places(positions % self.rows, epoch)
        ends = np.cumsum([stop - start for start, stop in spans]).tolist()
        return Plan(self._selection.rows[places], places, ends, numbers, epoch, rank)

    def _make(self, plan: Plan, steps: Steps) -> list[_Batch | Exception]:
        """The training batches of a plan; where one fails, those before it and the reason."""
        try:
            return list(self._make_all(plan, steps))
        except (HapistoreError, FormatError) as error:
            if len(plan.ends) == 1:
                return [error]
        made: list[_Batch | Exception] = []
        for one in plan.split():
            made += self._make(one, steps)
            if isinstance(made[-1], Exception):
                break
        return made

    def _make_all(self, plan: Plan, steps: Steps) -> Iterator[_Batch]:
        inputs = self._inputs(plan)
        targets = self._selection.targets(plan.rows)
        columns = self._selection.columns(plan.rows)
        for step, part in zip(plan.steps, plan.parts(), strict=True):
            common = Common(
                targets=None if targets is None else targets[part],
                rows=plan.rows[part],
                columns={name: values[part] for name, values in columns.items()},
                padding=steps.padding(step, plan.rank),
                position=steps.position(step),
            )
            yield self._batch(inputs, part, common)

    def _audit_log(self, epoch: int, start: int, rank: int, ranks: int, worker: int, workers: int) -> AuditLog | None:
        if self.options.audit is None:
            return None
        whole = not self.options.drawn and self.rows == len(self._selection.rows)
        leg = Leg(
            of=self._progress.of,
            epoch=epoch,
            start=start,
            rank=rank,
            ranks=ranks,
            worker=worker,
            workers=workers,
            rows=self.rows,
            drops=self.options.last == "drop",
            hash=hash_rows(self._selection.rows) if whole else None,
        )
        return AuditLog(Path(self.options.audit), leg)

    def _hand_out(
        self, made: Iterator[list[_Batch | Exception]], spans: Iterator[tuple[int, int]], log: AuditLog | None
    ) -> Iterator[_Batch]:
        while True:
            started = time.perf_counter()
            batches = next(made, None)
            self._stats.seconds["wait"] += time.perf_counter() - started
            if batches is None:
                return
            for batch in batches:
                if isinstance(batch, Exception):
                    raise batch
                self._stats.batches += 1
                self._stats.rows += len(batch.rows)
                if log:
                    log.step(next(spans), batch.rows[: len(batch.rows) - batch.padding])
                yield batch

    def _say_stall(self, seconds: float) -> None:
        listed = ", ".join(f"{name} for {waited:.0f} s" for name, waited in self._waiting_for())
        _log.warning("waited %.0f s so far for %s, from %s", seconds, listed or "a training batch", self._url)


def _cut(numbers: range, most: int) -> Iterator[range]:
    """Parts of at most so many, the first ones small: the first batch is not waited for long."""
    size = 1
    while numbers:
        yield numbers[:size]
        numbers, size = numbers[size:], min(2 * size, most)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
