"""Features by number: a MapDataPipe, and so a map-style Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import MapDataPipe

from hapistore import FeatureReader, ImageView, UsageError, View

from .options import read_options
from .tensors import as_tensors, feature_reader, samples

_NOT_HERE = ("batch_size", "global_batch_size", "last", "shuffle", "window_shards", "balanced", "weights", "take")


class FeatureMapPipe(MapDataPipe):
    """``pipe[i]`` is the sample of the i-th selected row, ``len(pipe)`` how many there are.

    For samplers of one's own. A DataLoader asks for all rows of a training batch at once, so
    ``DataLoader(pipe, batch_size=256, shuffle=True)`` takes one call each; `FeaturePipe` is faster still, as it reads
    ahead.

    Args:
        view: from ``hapistore.open_view``, or ``offload`` where a cut was chosen.
        options: those of ``hapistore.ReadOptions`` that say what is selected, not in which order.

    Raises:
        UsageError: nothing is selected, a column is missing or incomplete, an option is about the order, or the view
            is of images.
    """

    def __init__(self, view: View | ImageView, **options: Any) -> None:
        if isinstance(view, ImageView):
            raise UsageError(f"{view} is read in an order only; use FeaturePipe")
        for name in options:
            if name in _NOT_HERE:
                raise UsageError(f"{name} is about the order of rows, which is the sampler's here; use FeaturePipe")
        self._open = feature_reader(view, read_options({**options, "shuffle": "none"}))
        self._reader: FeatureReader | None = self._open()

    @property
    def reader(self) -> FeatureReader:
        """This process's own."""
        if self._reader is None:
            self._reader = self._open()
        return self._reader

    def __len__(self) -> int:
        return self.reader.rows

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Samples of several rows; what a DataLoader calls."""
        places = np.asarray(indices, np.int64)
        places = np.where(places < 0, places + len(self), places)
        if len(places) and not 0 <= int(places.min()) <= int(places.max()) < len(self):
            raise IndexError(f"index {indices} of {len(self)} rows")
        return list(samples(as_tensors(self.reader.pick(places)))) if len(places) else []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}
