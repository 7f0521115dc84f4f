"""Features as a node of ``torchdata.nodes``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torchdata.nodes import BaseNode

from hapistore import ImageView, View

from .feed import Feed
from .options import read_options
from .tensors import as_tensors, feature_reader


class FeatureNode(BaseNode):
    """Yields the training batches of a `FeaturePipe`; wrap it in ``torchdata.nodes.Loader``.

    It reads ahead itself, on threads: no Prefetcher is wanted after it, and no process.

    Args:
        view: from ``hapistore.open_view``, or ``offload``; one of images yields uint8 [n, height, width, 3].
        pin_memory, options: as of `FeaturePipe`.
    """

    def __init__(self, view: View | ImageView, *, pin_memory: bool = False, **options: Any) -> None:
        super().__init__()
        self._feed = Feed(feature_reader(view, read_options(options), pin_memory=pin_memory))
        self._batches: Iterator[Any] = iter(())

    def reset(self, initial_state: dict[str, Any] | None = None) -> None:
        """Begin the next epoch, or go on where a state was taken."""
        super().reset(initial_state)
        if initial_state is not None:
            self._feed.load_state_dict(initial_state)
        self._batches = self._feed.batches()

    def next(self) -> Any:
        return as_tensors(next(self._batches))

    def get_state(self) -> dict[str, Any]:
        """Where it stands, as plain data."""
        return self._feed.state_dict()

    def close(self) -> None:
        """End its threads; a later pass begins new ones."""
        self._feed.close()

    def set_epoch(self, epoch: int) -> None:
        """Read this epoch from now on, until it is set again."""
        self._feed.set_epoch(epoch)
