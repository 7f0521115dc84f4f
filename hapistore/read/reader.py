"""Training batches of a view, as numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..catalog import View
from ..errors import UsageError
from .order import SHUFFLES, draw_variants
from .shards import OpenShards
from .targets import Targets

# Positions are permuted this many training batches at a time: one call costs as much for 16k as for 256.
_BATCHES_AT_ONCE = 64


class Batch(NamedTuple):
    """One training batch.

    Attributes:
        features: float32 [n, *shape], the caller's own.
        targets: int64 or float32 [n], or None where no column was asked for.
        rows: int64 [n], row numbers over the version's shards. They stand in shard order, and within a shard in order
            too where no variants are drawn.
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
        seed: of the order and of the variants drawn; every seed and epoch gives others.
        drop_last: leave out the last training batch where it is short.
        memory_bytes: how much of decompressed shards is kept, in each process that reads.
        augment: whether a row has the features of one of the view's variants, drawn anew in each epoch, or those of
            the image as it is. None: drawn where the view has variants, but not of subsets ``val`` and ``test``.
    """

    subset: str | None = None
    label: str | None = "label"
    batch_size: int = 256
    shuffle: str = "global"
    seed: int = 0
    drop_last: bool = False
    memory_bytes: int = 2 << 30
    augment: bool | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"batch_size is {self.batch_size}, expected at least 1")
        if self.shuffle not in SHUFFLES:
            raise UsageError(f"shuffle is {self.shuffle!r}, expected one of {', '.join(SHUFFLES)}")


class FeatureReader:
    """Reads training batches. The order depends on options and epoch alone, never on who reads.

    Rows without features are left out, like dropped ones.

    Raises:
        UsageError: the subset is empty, the label column is not there or not complete, or variants are asked for and
            the view has none.
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
        recipes = view.variants if self._draws() else (view.recipe,)
        self._variants = len(recipes)
        views = (view.through(recipe) for recipe in recipes)
        self._shards = OpenShards(*views, memory_bytes=self.options.memory_bytes)
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

        All parts together are every selected row exactly once. Within a batch rows stand in shard order, and
        within a shard by variant.

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
            yield self._gather(np.sort(self._targets.rows[chosen]), epoch)

    def _draws(self) -> bool:
        """Whether variants are drawn.

        Raises:
            UsageError: they are asked for, and there are none.
        """
        wanted = self.options.augment
        if wanted and not self.view.variants:
            raise UsageError(f"{self.view} has no variants to draw from; open the view with variants=")
        usual = self.options.subset not in ("val", "test")
        return bool(self.view.variants) and (usual if wanted is None else wanted)

    def _gather(self, rows: np.ndarray, epoch: int) -> Batch:
        features = np.empty((len(rows), *self.view.shape), np.float32)
        sources = (np.searchsorted(self._starts, rows, side="right") - 1) * self._variants
        if self._variants > 1:
            sources += draw_variants(rows, self._variants, self.options.seed, epoch)
            order = np.argsort(sources, kind="stable")
            rows, sources = rows[order], sources[order]
        # rows are sorted by shard and variant, so those of each are one run
        firsts = np.flatnonzero(np.diff(sources, prepend=-1))
        for first, stop in zip(firsts, [*firsts[1:], len(rows)], strict=True):
            number, variant = divmod(int(sources[first]), self._variants)
            reader, stored = self._shards.get(number, variant)
            reader.gather(stored, rows[first:stop] - self._starts[number], features[first:stop])
        values = self._targets.values
        return Batch(features, values[rows] if values is not None else None, rows)
