"""How a careful script reads images from a bucket: many single objects at once, the next training batch prefetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

import hapistore as hs
from hapistore.threads import map_ahead

_FETCHES, _AHEAD_BATCHES = 16, 1


@dataclass(frozen=True, kw_only=True)
class Images:
    """Single images in a bucket.

    Attributes:
        url: of their prefix. labels: by number; an image's name is its number.
        few: only so many of them are used, evenly spread; None: all.
    """

    url: str
    labels: tuple[int, ...]
    few: int | None = None

    @property
    def numbers(self) -> Sequence[int]:
        """Of the images that are used."""
        count = len(self.labels)
        few = count if self.few is None else min(self.few, count)
        return [number * count // few for number in range(few)]

    def batches(
        self, preprocess: Callable[[memoryview], np.ndarray], batch_size: int, order: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Training batches in that order; while one is used, the next is fetched and decoded.

        Yields:
            uint8 [n, height, width, 3] and int64 [n].
        """
        store = hs.open_store(self.url)
        with ThreadPoolExecutor(_FETCHES) as fetching:

            def load(chosen: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
                encoded = fetching.map(lambda number: store.get(name_of(number)), chosen)
                return np.stack([preprocess(data) for data in encoded]), np.array([self.labels[n] for n in chosen])

            chunks = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
            yield from map_ahead(load, chunks, threads=1, ahead=_AHEAD_BATCHES, name="benchmark-loading")


def name_of(number: int) -> str:
    """Of an image, in its prefix of the bucket."""
    return f"{number:06d}"
