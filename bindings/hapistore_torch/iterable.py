"""Features as an IterableDataset whose state a StatefulDataLoader keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import IterableDataset

from hapistore import ImageView, View

from .feed import Fed, Feed
from .options import read_options
from .tensors import as_tensors, feature_reader, samples


class FeatureIterable(Fed, IterableDataset):
    """Yields what a `FeaturePipe` does, for ``torchdata.stateful_dataloader.StatefulDataLoader(…, batch_size=None)``.

    That loader never asks a DataPipe for its state, but fast-forwards it; this it asks, so going on takes no longer
    at the end of an epoch than at its beginning, with loader workers too. Ranks and loader workers are told apart here.

    Like torch's DistributedSampler it wants ``set_epoch`` before every epoch where there are loader workers that do not
    persist: they begin anew each time. Otherwise every pass is the next epoch.

    Args:
        view: from ``hapistore.open_view``, or ``offload``; one of images yields uint8 [n, height, width, 3].
        batched: False gives single samples; a state is then taken between training batches only.
        pin_memory, options: as of `FeaturePipe`.
    """

    def __init__(
        self, view: View | ImageView, *, batched: bool = True, pin_memory: bool = False, **options: Any
    ) -> None:
        self._feed = Feed(feature_reader(view, read_options(options), pin_memory=pin_memory))
        self._batched = batched

    def __iter__(self) -> Iterator[Any]:
        for batch in self._feed.batches():
            if self._batched:
                yield as_tensors(batch)
            else:
                yield from samples(as_tensors(batch))
