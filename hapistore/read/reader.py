"""Training batches of a view, as numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..catalog import View
from ..errors import UsageError
from .order import SHUFFLES
from .shards import OpenShards
from .targets import Targets

# Positions are permuted this many training batches at a time: one call costs as much for 16k as for 256.
_BATCHES_AT_ONCE = 64


class Batch(NamedTuple):
    """One training batch.

    Attributes:
        features: float32 [n, *shape], the caller's own.
        targets: int64 or float32 [n], or None where no column was asked for.
        rows: int64 [n], row numbers over the version's shards in order.
    """

    features: np.ndarray
    targets: np.ndarray | None
    rows: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What is read, and in what order.

    Attributes:
        subset: ``train``, ``val``, ``test``, or None for all rows.
        label: annotation column that becomes the target; None for features alone.
        batch_size: rows of a training batch.
        shuffle: ``global`` or ``none``.
        seed: of the order; every seed and epoch gives another one.
        drop_last: leave out the last training batch where it is short.
        memory_bytes: how much of decompressed shards is kept, in each process that reads.
    """

    subset: str | None = None
    label: str | None = "label"
    batch_size: int = 256
    shuffle: str = "global"
    seed: int = 0
    drop_last: bool = False
    memory_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"batch_size is {self.batch_size}, expected at least 1")
        if self.shuffle not in SHUFFLES:
            raise UsageError(f"shuffle is {self.shuffle!r}, expected one of {', '.join(SHUFFLES)}")


class FeatureReader:
    """Reads training batches. The order depends on options and epoch alone, never on who reads.

    Rows without features are left out, like dropped ones.

    Raises:
        UsageError: the subset is empty, or the label column is not there or not complete.
    """

    def __init__(self, view: View, options: ReadOptions | None = None) -> None:
        self.view = view
        self.options = options or ReadOptions()
        self._targets = Targets(
            view.store,
            view.version,
            subset=self.options.subset,
            column=self.options.label,
            left_out=view.missing_rows,
        )
        self._shards = OpenShards(view, memory_bytes=self.options.memory_bytes)
        self._starts = np.cumsum([0, *(shard.rows for shard in view.version.shards)])

    @property
    def rows(self) -> int:
        """How many rows an epoch has."""
        return len(self._targets.rows)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by target, where the label column is text."""
        return self._targets.classes

    def num_batches(self, part: int = 0, parts: int = 1) -> int:
        """How many training batches ``epoch(…, part, parts)`` yields."""
        whole, rest = divmod(self.rows, self.options.batch_size)
        total = whole + (rest > 0 and not self.options.drop_last)
        return max(0, -(-(total - part) // parts))

    def epoch(self, epoch: int, *, part: int = 0, parts: int = 1) -> Iterator[Batch]:
        """Training batches ``part``, ``part + parts``, … of an epoch.

        All parts together are every selected row exactly once. Within a batch rows stand in shard order.

        Raises:
            NotFound, FormatError: a feature shard is gone or damaged; it is named.
        """
        numbers = range(part, self.num_batches(), parts)
        for start in range(0, len(numbers), _BATCHES_AT_ONCE):
            yield from self._read(numbers[start : start + _BATCHES_AT_ONCE], epoch)

    def _read(self, numbers: range, epoch: int) -> Iterator[Batch]:
        size = self.options.batch_size
        spans = [np.arange(n * size, min((n + 1) * size, self.rows)) for n in numbers]
        order = SHUFFLES[self.options.shuffle]
        positions = order(np.concatenate(spans), self.rows, self.options.seed, epoch)
        ends = np.cumsum([len(span) for span in spans])[:-1]
        for chosen in np.split(positions, ends):
            yield self._gather(np.sort(self._targets.rows[chosen]))

    def _gather(self, rows: np.ndarray) -> Batch:
        features = np.empty((len(rows), *self.view.shape), np.float32)
        # rows are sorted, so each shard's rows are one run
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        firsts = np.flatnonzero(np.diff(shards, prepend=-1))
        for first, stop in zip(firsts, [*firsts[1:], len(rows)], strict=True):
            number = int(shards[first])
            reader, stored = self._shards.get(number)
            reader.gather(stored, rows[first:stop] - self._starts[number], features[first:stop])
        values = self._targets.values
        return Batch(features, values[rows] if values is not None else None, rows)
