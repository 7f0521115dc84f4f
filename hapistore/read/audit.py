"""Proof that training has seen every row exactly once: what readers write while they read, and what reads that.

Each rank and loader worker writes a file for each pass over an epoch, a *leg*: who it is, where it begins, and a line
for each training batch: the span of positions, how many rows, and the sum of a hash of their numbers modulo 2**64. Sums
of all batches are the sum over the selected rows if these are the same rows as often, whatever their order and whoever
read them; by accident with a probability of 2**-64.

A leg that begins at a position voids what earlier legs have read from there on: whoever goes on from a checkpoint has
taken back what was learned after it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from hapistore_format.codecs.jit import jit

from ..errors import UsageError
from .permutation import mix

_FORMAT = 1


@jit
def _hash_rows(rows: np.ndarray) -> np.uint64:
    total = np.uint64(0)
    for row in rows:
        total += mix(np.uint64(row) + np.uint64(1))
    return total


def hash_rows(rows: np.ndarray) -> int:
    """Of row numbers int64 [k], whatever their order: below 2**64."""
    return int(_hash_rows(rows))


class Leg(NamedTuple):
    """One pass of one rank and loader worker over an epoch, from ``start`` on.

    Attributes:
        of: the view and the order; rows, hash: of a whole epoch, the hash None where not every row comes once.
        drops: a last training batch that is short is left out.
    """

    of: Mapping[str, Any]
    epoch: int
    start: int
    rank: int
    ranks: int
    worker: int
    workers: int
    rows: int
    drops: bool
    hash: int | None


class AuditLog:
    """Writes a leg's file; each line is the system's before its training batch is handed out."""

    def __init__(self, folder: Path, leg: Leg) -> None:
        begun = time.time_ns()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{begun:020}-{leg.rank}-{leg.worker}-{os.getpid()}.jsonl"
        self._file: IO[bytes] = open(path, "xb", buffering=0)  # noqa: SIM115  it is open as long as the leg lasts
        self._write({"format": _FORMAT, **leg._asdict(), "begun_ns": begun})

    def step(self, span: tuple[int, int], rows: np.ndarray) -> None:
        """One training batch: its positions, and its rows without those that pad it."""
        self._write([*span, len(rows), hash_rows(rows)])

    def close(self) -> None:
        """No more steps."""
        self._file.close()

    def _write(self, value: Any) -> None:
        self._file.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")


class _Step(NamedTuple):
    first: int
    stop: int
    rows: int
    hash: int
    where: str


@dataclass(frozen=True, kw_only=True)
class EpochAudit:
    """What was found of one epoch.

    Attributes:
        rows: read, and not voided; of: how many it has.
        legs: passes that read some of it; voided: training batches that a later leg has taken back.
        faults: what is wrong, a line each; none where every row was read once, or will be by going on.
        proved: it was read to its end, and the hashes of its rows are those of the rows selected.
    """

    epoch: int
    rows: int
    of: int
    legs: int
    voided: int
    faults: tuple[str, ...]
    proved: bool


def audit(folder: Path) -> list[EpochAudit]:
    """Check all that readers have written to a folder, epoch by epoch.

    Raises:
        UsageError: there is nothing, or something else, or records of different views or orders.
    """
    legs = list(_read_legs(folder))
    if not legs:
        raise UsageError(f"{folder} has no records; give readers audit={str(folder)!r}")
    for leg, _ in legs:
        if leg.of != legs[0][0].of:
            raise UsageError(f"{folder} has records of several views or orders; give each run a folder of its own")
    steps: dict[int, list[_Step]] = {}
    voided: dict[int, int] = {}
    together: list[Leg] = []
    for leg, read in legs:
        if not _goes_with(leg, together):
            _void(steps, voided, leg)
            together = []
        together.append(leg)
        steps.setdefault(leg.epoch, []).extend(read)
    counts = {epoch: sum(leg.epoch == epoch for leg, _ in legs) for epoch in steps}
    last, whole = max(steps), legs[0][0]
    # At an epoch's end less than a global batch may be left out.
    slices = [(step.stop - step.first) * leg.ranks for leg, read in legs for step in read]
    most_dropped = max(slices, default=1) - 1 if whole.drops else 0
    return [
        _check(
            epoch,
            steps[epoch],
            whole,
            legs=counts[epoch],
            voided=voided.get(epoch, 0),
            most_left=most_dropped if epoch < last else whole.rows,
        )
        for epoch in sorted(steps)
    ]


def _goes_with(leg: Leg, others: list[Leg]) -> bool:
    """Whether it is another rank or worker of the same start as legs before it; one that comes again has restarted."""
    same = all((leg.epoch, leg.start, leg.ranks, leg.workers) == (o.epoch, o.start, o.ranks, o.workers) for o in others)
    return bool(others) and same and all((leg.rank, leg.worker) != (o.rank, o.worker) for o in others)


def _void(steps: dict[int, list[_Step]], voided: dict[int, int], leg: Leg) -> None:
    """Take back what is at a leg's beginning and after it."""
    for epoch, read in steps.items():
        start = leg.start if epoch == leg.epoch else 0
        if epoch >= leg.epoch:
            kept = [step for step in read if step.first < start]
            voided[epoch] = voided.get(epoch, 0) + len(read) - len(kept)
            read[:] = kept


def _check(epoch: int, read: Sequence[_Step], whole: Leg, *, legs: int, voided: int, most_left: int) -> EpochAudit:
    faults, at = [], 0
    for step in sorted(read):
        if step.first > at:
            faults.append(f"positions {at} to {step.first} were read by nobody")
        elif step.first < at:
            faults.append(f"positions {step.first} to {min(at, step.stop)} were read twice, again by {step.where}")
        at = max(at, step.stop)
    rows, total = sum(step.rows for step in read), sum(step.hash for step in read) % 2**64
    finished = at >= whole.rows
    if whole.rows - at > most_left:
        faults.append(f"positions {at} to {whole.rows} were read by nobody, and the next epoch was begun")
    proved = finished and not faults and whole.hash is not None
    if proved and (rows, total) != (whole.rows, whole.hash):
        faults.append(f"{rows} rows were read and not those {whole.rows} that were selected: their hashes differ")
        proved = False
    return EpochAudit(
        epoch=epoch, rows=rows, of=whole.rows, legs=legs, voided=voided, faults=tuple(faults), proved=proved
    )


def _read_legs(folder: Path) -> Iterator[tuple[Leg, list[_Step]]]:
    """Every file's, by the time it was begun."""
    for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        lines = path.read_bytes().split(b"\n")
        try:
            header = json.loads(lines[0])
            if header["format"] != _FORMAT:
                raise ValueError(f"it has format {header['format']!r:.20}")
            leg = Leg(**{name: header[name] for name in Leg._fields})
            # The last one is empty, or what a killed process was writing.
            steps = [_read_step(line, path.name) for line in lines[1:-1]]
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{path} is no record of a reader: {error!s:.200}") from error
        yield leg, steps


def _read_step(line: bytes, where: str) -> _Step:
    first, stop, rows, total = map(int, json.loads(line))
    return _Step(first, stop, rows, total, where)
