"""Training batches of images, decoded: the twin of `FeatureReader` for those who train whole networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hapistore_format import ImageShard

from ..catalog import open_image_shard, resolve_version
from ..catalog.names import images_name
from ..errors import HapistoreError, ImageError
from ..images import Preprocess, decode_rgb
from ..stores import ObjectStore
from .epochs import Common, EpochReader, Plan
from .options import ReadOptions
from .residents import Residents
from .selection import Selection

__all__ = ["ImageBatch", "ImageReader"]

# Roughly, for how much is made at once; images as they are have any size.
_USUAL_BYTES = 500 * 375 * 3


class ImageBatch(NamedTuple):
    """One training batch of one rank; see `Batch` for what is not here.

    Attributes:
        images: uint8, RGB: [n, height, width, 3] where the reader preprocesses, else one [height, width, 3] each.
    """

    images: np.ndarray | Sequence[np.ndarray]
    targets: np.ndarray | None
    rows: np.ndarray
    columns: Mapping[str, np.ndarray]
    padding: int
    position: int


class ImageReader(EpochReader[ImageBatch]):
    """Reads and decodes images; see `EpochReader`.

    Args:
        dataset: ``pets`` for the newest version, ``pets@7`` for one.
        preprocess: resizes and crops, as a backbone's ``preprocess`` does; None: images keep their size.

    Raises:
        UsageError: there is no such dataset, nothing is selected, or a column is not there or not complete.
    """

    def __init__(
        self,
        store: ObjectStore,
        dataset: str,
        options: ReadOptions | None = None,
        *,
        preprocess: Preprocess | None = None,
    ) -> None:
        options = options or ReadOptions()
        self.version = resolve_version(store, dataset)
        self._preprocess = preprocess
        self._decode: Callable[[memoryview], np.ndarray] = preprocess or _whole
        row_bytes = int(np.prod(preprocess.pixel_shape)) if preprocess else _USUAL_BYTES
        identity = {"dataset": self.version.label, "preprocess": preprocess.to_json() if preprocess else None}
        super().__init__(
            Selection(store, self.version, options), options, identity=identity, row_bytes=row_bytes, url=store.url
        )
        shards = self.version.shards
        self._shards = Residents(
            lambda number: open_image_shard(store, shards[number]),
            np.array([shard.bytes for shard in shards], np.int64),
            memory_bytes=options.memory_bytes,
        )

    def close(self) -> None:
        self._shards.close()

    def _prefetch(self, plans: Sequence[Plan]) -> bool:
        if self._shards.all_open:
            return False
        self._shards.prefetch(self._selection.shards[plans[-1].places])
        return self._shards.fit_ahead([self._selection.shards[plan.places] for plan in plans])

    def _inputs(self, plan: Plan) -> np.ndarray | list[np.ndarray]:
        numbers, rows = self._selection.shards[plan.places], self._selection.rows_in_shards[plan.places]
        began = time.perf_counter()
        shards = {number: self._shards.get(number) for number in np.unique(numbers).tolist()}
        opened = time.perf_counter()
        images = [
            self._decoded(shards[number], row, number)
            for number, row in zip(numbers.tolist(), rows.tolist(), strict=True)
        ]
        decoded = time.perf_counter()
        with self._shards.locked():
            self._stats.seconds["fetch"] += opened - began
            self._stats.seconds["decode"] += decoded - opened
        return np.stack(images) if self._preprocess else images

    def _decoded(self, shard: ImageShard, row: int, number: int) -> np.ndarray:
        try:
            return self._decode(shard.image(row))
        except ImageError as error:
            name = self.version.shards[number].images
            raise HapistoreError(f"row {row} of image shard {name} of {self.version.label}: {error}") from error

    def _batch(self, inputs: np.ndarray | list[np.ndarray], part: slice, common: Common) -> ImageBatch:
        return ImageBatch(inputs[part], *common)

    def _waiting_for(self) -> list[tuple[str, float]]:
        names = [images_name(shard.images, shard.layout) for shard in self.version.shards]
        return [(names[number], seconds) for number, seconds in self._shards.opening()]


def _whole(data: memoryview) -> np.ndarray:
    return np.asarray(decode_rgb(data))
