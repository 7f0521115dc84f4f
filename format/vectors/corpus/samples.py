"""Objects that many vectors start from, and their names."""

from __future__ import annotations

import random
import struct
from typing import Any

from second.features import Shard
from second.floats import bytes_of

RECIPE, IMAGES, OTHER = "ab" * 32, "cd" * 32, "ef" * 32


def numbers(count: int, seed: int, *, zeros: float = 0.0) -> bytes:
    """Float32 values that look like features; ``zeros`` of them, as a share, are 0.

    Sums of uniform numbers, which ``random`` makes alike everywhere.
    """
    source = random.Random(seed)
    values = [0.0 if source.random() < zeros else sum(source.random() for _ in range(4)) - 1 for _ in range(count)]
    return bytes_of(values)


def features_name(shard: Shard, *, recipe: str = RECIPE, images: str = IMAGES) -> str:
    return f"features/{recipe}/{shard.codec}/{images}.arrow"


def two_rows(codec: str = "f32") -> Shard:
    """Two rows of three values, in a block each."""
    return Shard(codec, [3], struct.pack("<6f", 0, 1.5, -2, 0.25, 3, 4), [1, 2])


def one_block(codec: str = "f32+zstd") -> Shard:
    """The same in one block."""
    return Shard(codec, [3], two_rows().values, [2])


def some_version(**changes: Any) -> dict[str, Any]:
    shards = [
        {"images": IMAGES, "annotations": OTHER, "layout": "arrow", "rows": 3, "bytes": 1000},
        {"images": RECIPE, "annotations": OTHER, "layout": "lmdb", "rows": 1, "bytes": 12288},
    ]
    version = {"format": 1, "dataset": "pets", "version": 7, "created": "2026-01-02T03:04:05+00:00", "shards": shards}
    return {**version, **changes}


VERSION_NAME = "datasets/pets/versions/00000007.json"
EXPIRY_NAME = "datasets/pets/expired/00000007.json"


def some_expiry(**changes: Any) -> dict[str, Any]:
    return {"format": 1, "dataset": "pets", "version": 7, "expired": "2026-02-03T04:05:06+00:00", **changes}


def some_recipe(**changes: Any) -> dict[str, Any]:
    recipe = {
        "architecture": "tiny_net",
        "weights": RECIPE,
        "program": None,
        "cut": "layer4",
        "preprocess": {"resize_px": 256, "mean": [0.5, 1.0]},
        "precision": "f32",
        "shape": [4, 3, 2],
    }
    return {**recipe, **changes}


def some_augmentation(**changes: Any) -> dict[str, Any]:
    augmentation = {
        "seed": 3,
        "variant": 1,
        "crop_percent": [35, 100],
        "flip": True,
        "colour_percent": [40, 30, 20],
    }
    return {**augmentation, **changes}
