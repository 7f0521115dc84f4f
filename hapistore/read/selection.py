"""Which rows of a view are read, in which order, and what comes along with their features."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from hapistore_format import DatasetVersion

from ..errors import UsageError
from ..stores import ObjectStore
from .drawing import BalancedDraw, WeightedDraw
from .options import ReadOptions
from .order import GlobalOrder, InOrder, Order, WindowOrder
from .targets import Targets


class Selection:
    """Resolved once; arrays of it are indexed by *place*, the number of a row among those selected.

    Attributes:
        rows: int64 [places], row numbers over the version's shards; shards, rows_in_shards: where these are.
        order: of places, by position.
        epoch_rows: positions of an epoch.
        classes: names of the target's classes.

    Raises:
        UsageError: nothing is selected, or a column is not there or not complete, or ``take`` is too much.
    """

    def __init__(
        self, store: ObjectStore, version: DatasetVersion, options: ReadOptions, *, left_out: np.ndarray | None = None
    ) -> None:
        self._options = options
        more = [*options.columns, *([options.weights] if options.weights else [])]
        self._targets = Targets(
            store,
            version,
            subset=options.subset,
            column=options.label,
            where=options.where,
            more=list(dict.fromkeys(more)),
            left_out=left_out,
        )
        self.classes = self._targets.classes
        self.rows = self._targets.rows
        counts = [shard.rows for shard in version.shards]
        starts = np.cumsum([0, *counts])
        self.shards = np.searchsorted(starts, self.rows, side="right") - 1
        self.rows_in_shards = self.rows - starts[self.shards]
        self.order = self._order(np.bincount(self.shards, minlength=len(counts)))
        self.epoch_rows = options.take or len(self.rows)
        if self.epoch_rows > len(self.rows) and not options.drawn:
            raise UsageError(
                f"take is {options.take}, and {len(self.rows)} rows of {version.label} are selected; rows come "
                "more than once only with balanced or weights"
            )

    @property
    def identity(self) -> dict[str, Any]:
        """What a reader's state names besides the view: all that decides which row comes at which position."""
        options = self._options
        chosen = hashlib.sha256(self.rows.astype("<i8").tobytes()).hexdigest()[:16]
        found = {"shuffle": options.shuffle, "seed": options.seed, "rows": self.epoch_rows, "chosen": chosen}
        if options.shuffle == "window":
            found["window_shards"] = options.window_shards
        if options.drawn:
            found["drawn"] = options.weights or f"balanced {options.label}"
        return found

    def sequence(self, epoch: int) -> np.ndarray | None:
        """Shards in the order in which an epoch comes to them, int64; None: it wants all of them all the time."""
        if isinstance(self.order, WindowOrder):
            return self.order.sequence(epoch)
        return np.unique(self.shards) if isinstance(self.order, InOrder) else None

    def targets(self, rows: np.ndarray) -> np.ndarray | None:
        """int64 or float32 [k] of row numbers, or None."""
        values = self._targets.values
        return None if values is None else values[rows]

    def columns(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The further columns of row numbers, [k] each."""
        if not self._options.columns:
            return {}
        taken = self._targets.more.take(pa.array(rows))
        return {name: taken[name].to_numpy() for name in self._options.columns}

    def _order(self, counts: np.ndarray) -> Order:
        options = self._options
        if options.weights:
            return WeightedDraw(self._weights(options.weights), options.seed)
        if options.balanced:
            return self._balanced()
        if options.shuffle == "none":
            return InOrder()
        if options.shuffle == "global":
            return GlobalOrder(len(self.rows), options.seed)
        return WindowOrder(counts, options.seed, options.window_shards if options.shuffle == "window" else 1)

    def _balanced(self) -> BalancedDraw:
        values = self.targets(self.rows)
        if values is None or values.dtype != np.int64:
            raise UsageError(f"balanced draws by classes, and {self._options.label!r} has real numbers")
        return BalancedDraw(values, self._options.seed)

    def _weights(self, column: str) -> np.ndarray:
        kind = self._targets.more[column].type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise UsageError(f"weights are numbers, and column {column!r} has type {kind}")
        weights = self._targets.more[column].cast(pa.float64()).to_numpy()[self.rows]
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise UsageError(f"column {column!r} has a weight that is absent or below 0, or none above 0")
        return weights
