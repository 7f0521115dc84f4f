"""A few images of a dataset to measure with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hapistore_format import DatasetVersion

from ...catalog import open_image_shard
from ...errors import HapistoreError, ImageError
from ...images import Preprocess
from ...stores import ObjectStore

# Whole shards are fetched, so few of them.
_SHARDS = 2


@dataclass(frozen=True, kw_only=True)
class ImageSample:
    """Images as they are stored, and what is known of all of them.

    Attributes:
        encoded: bytes of each; pixels: uint8 [n, height, width, 3], of the same images.
        images: how many the dataset has; bytes_per_image: mean size of all.
    """

    encoded: tuple[bytes, ...]
    pixels: np.ndarray
    images: int
    bytes_per_image: float


def sample_images(store: ObjectStore, version: DatasetVersion, preprocess: Preprocess, *, count: int) -> ImageSample:
    """Take images at equal distances from shards at equal distances; those that cannot be decoded are passed over.

    Raises:
        HapistoreError: none can be decoded. FormatError: a shard is damaged.
    """
    places = np.unique(np.linspace(0, len(version.shards) - 1, _SHARDS).astype(int)).tolist()
    encoded: list[bytes] = []
    pixels: list[np.ndarray] = []
    for place in places:
        shard = open_image_shard(store, version.shards[place])
        rows = version.shards[place].rows
        for row in np.unique(np.linspace(0, rows - 1, -(-count // len(places))).astype(int)).tolist():
            data = bytes(shard.image(row))
            try:
                pixels.append(preprocess(data))
            except ImageError:  # such images cost their rows everywhere else too
                continue
            encoded.append(data)
    if not pixels:
        raise HapistoreError(f"no image of {version.label} that was tried can be decoded, so nothing can be measured")
    images = sum(shard.rows for shard in version.shards)
    size = sum(shard.bytes for shard in version.shards) / images
    return ImageSample(encoded=tuple(encoded), pixels=np.stack(pixels), images=images, bytes_per_image=size)
