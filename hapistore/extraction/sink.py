"""Who is told of features while they are computed, beside or instead of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from hapistore_format import ShardRef

from ..catalog.features import ShardFeatures


class ShardSink(Protocol):
    """Takes the features of image shards as they are made.

    Calls for one shard come one after another: ``begin``, ``rows`` as often as there are extraction batches,
    ``finished``, and ``stored`` at the end. They hold the extraction up, so whoever has to wait does so elsewhere. What
    a call raises fails the extraction.
    """

    def begin(self, shard: ShardRef) -> None:
        """Its rows begin to be computed; called again after a pause, and then rows that were told come again."""

    def rows(self, shard: ShardRef, rows: Sequence[int], features: np.ndarray) -> None:
        """An extraction batch passed.

        Args:
            rows: numbers of the shard's rows, in any order. features: float32 [len(rows), *shape], valid until it
                returns.
        """

    def finished(self, shard: ShardRef, features: ShardFeatures) -> None:
        """All rows are known, those without features among them; the array is valid until it returns."""

    def stored(self, shard: ShardRef, made: Mapping[str, bytes | memoryview]) -> None:
        """The store has the shard in every codec, whoever made it; alone where there was nothing to compute.

        Called from a thread that encodes, while another shard's rows may be computed.

        Args:
            made: the feature shards that are there by this extraction, by codec.
        """


class NoSink:
    """Nobody is told."""

    def begin(self, shard: ShardRef) -> None:
        """Not told."""

    def rows(self, shard: ShardRef, rows: Sequence[int], features: np.ndarray) -> None:
        """Not told."""

    def finished(self, shard: ShardRef, features: ShardFeatures) -> None:
        """Not told."""

    def stored(self, shard: ShardRef, made: Mapping[str, bytes | memoryview]) -> None:
        """Not told."""
