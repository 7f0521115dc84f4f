"""Training batches of a view, as numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from hapistore_format import get_codec

from ..catalog import View
from ..errors import UsageError
from .buffers import Allocate, Buffers, allocate
from .drawing import draw_variants
from .epochs import MOST_THREADS, Common, EpochReader, Plan
from .opening import open_shards
from .options import ReadOptions
from .selection import Selection


class Batch(NamedTuple):
    """One training batch of one rank.

    Attributes:
        features: float32 [n, *shape], or as stored, of memory that is used again when nobody refers to it any more.
        targets: int64 or float32 [n], or None where no column was asked for.
        rows: int64 [n], row numbers over the version's shards.
        columns: the further columns asked for, each [n]; object arrays of text and lists.
        padding: how many of the last rows are repeated, to fill up the epoch's last training batch.
        position: rows of the epoch that all ranks have read with this batch.
        sources: of features as stored, int64 [n]: whose `FeatureReader.parameters` are theirs; else None.
    """

    features: np.ndarray
    targets: np.ndarray | None
    rows: np.ndarray
    columns: Mapping[str, np.ndarray]
    padding: int
    position: int
    sources: np.ndarray | None = None


class _Inputs(NamedTuple):
    features: np.ndarray
    sources: np.ndarray | None


class FeatureReader(EpochReader[Batch]):
    """Reads features; see `EpochReader`. Rows without features are left out, like dropped ones.

    Args:
        allocate: gives the memory of training batches; pinned memory, say.

    Raises:
        UsageError: nothing is selected, a column is not there or not complete, or variants are asked for and the view
            has none.
    """

    def __init__(self, view: View, options: ReadOptions | None = None, *, allocate: Allocate = allocate) -> None:
        options = options or ReadOptions()
        self.view = view
        recipes = view.variants if _draws(view, options) else (view.recipe,)
        self._variants = len(recipes)
        selection = Selection(view.store, view.version, options, left_out=view.missing_rows)
        dtype = np.dtype(np.float32) if options.dequantise else get_codec(view.codec).quantiser.dtype
        self._dtype, row_bytes = dtype, dtype.itemsize * int(np.prod(view.shape))
        super().__init__(selection, options, identity=view.identity, row_bytes=row_bytes, url=view.store.url)
        views = [view.through(recipe) for recipe in recipes]
        passing = selection.sequence(0) is not None
        self._shards = open_shards(views, options, passing=passing, stats=self._stats)
        self._buffers = Buffers(2 * MOST_THREADS, allocate)

    def pick(self, places: np.ndarray, *, epoch: int = 0) -> Batch:
        """Rows by their numbers among those selected, int64 [k], in that order; not read ahead.

        Args:
            epoch: whose variants are drawn, where there are any.
        """
        (batch,) = self._make_all(self._picked(places, epoch), self.steps())
        return batch

    def parameters(self, sources: np.ndarray) -> tuple[np.ndarray, ...]:
        """What turns stored values into features: ``scale`` and ``zero``, float32 [k, channels], features being
        ``zero + scale × value``; nothing where they are the same but for their type.

        Args:
            sources: int64 [k], as in `Batch`.
        """
        found = [self._shards.params(source) for source in sources.tolist()]
        return tuple(np.stack(arrays) for arrays in zip(*found, strict=True))

    def close(self) -> None:
        self._shards.close()

    def _announced(self, epoch: int) -> AbstractContextManager[None]:
        sequences = [self._selection.sequence(number) for number in (epoch, epoch + 1)]
        return self._shards.announced(*(sequence for sequence in sequences if sequence is not None))

    def _prefetch(self, plans: Sequence[Plan]) -> bool:
        if self._shards.all_open:
            return False
        self._shards.prefetch(self._sources(plans[-1]))
        return self._shards.fit_ahead([self._sources(plan) for plan in plans])

    def _inputs(self, plan: Plan) -> _Inputs:
        features = self._buffers.array((len(plan.rows), *self.view.shape), self._dtype)
        sources = self._sources(plan)
        self._shards.gather(sources, self._selection.rows_in_shards[plan.places], features)
        return _Inputs(features, None if self.options.dequantise else sources)

    def _batch(self, inputs: _Inputs, part: slice, common: Common) -> Batch:
        features, sources = inputs
        return Batch(features[part], *common, None if sources is None else sources[part])

    def _picked(self, places: np.ndarray, epoch: int) -> Plan:
        rows = self._selection.rows[places]
        return Plan(rows, places, [len(rows)], range(1), epoch, 0)

    def _waiting_for(self) -> list[tuple[str, float]]:
        return self._shards.waiting_for()

    def _sources(self, plan: Plan) -> np.ndarray:
        shards = self._selection.shards[plan.places]
        if self._variants == 1:
            return shards
        return shards * self._variants + draw_variants(plan.rows, self._variants, self.options.seed, plan.epoch)


def _draws(view: View, options: ReadOptions) -> bool:
    """Whether variants are drawn.

    Raises:
        UsageError: they are asked for, and there are none.
    """
    wanted = options.augment
    if wanted and not view.variants:
        raise UsageError(f"{view} has no variants to draw from; open the view with variants=")
    usual = options.subset not in ("val", "test")
    return bool(view.variants) and (usual if wanted is None else wanted)
