"""Features to read: real ones of EfficientNet-Lite0, varied until there are enough, in a store of hapistore's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

import hapistore as hs
from hapistore.catalog import View, ensure_marker, register_recipe
from hapistore.catalog.names import annotations_name, features_name, version_name, weights_name
from hapistore.demo.photographs import write_manifest
from hapistore.stores import FolderStore
from hapistore_format import (
    DatasetVersion,
    Recipe,
    ShardRef,
    file_digest,
    write_annotations,
    write_feature_shard,
)

CODEC = "u8c+zstd"
# As many as photographs of 90 KB make an image shard of 128 MiB.
_SHARD_ROWS = 1450
_CLASSES = 1000
BATCH = 256


def real_features(folder: Path, cut: str) -> tuple[np.ndarray, Recipe, bytes]:
    """float32 [2624, *shape] of the ELPV photographs, with their recipe and weights."""
    store = FolderStore(folder / "elpv")
    write_manifest(folder / "elpv.csv", seed=0)
    prefix = hs.load_backbone("efficientnet_lite0").prefix(cut)
    hs.ingest(store, "elpv", hs.manifest(folder / "elpv.csv"))
    hs.extract(store, "elpv", prefix, codecs=["f32"])
    view = hs.open_view(store, "elpv", recipe=f"efficientnet_lite0:{cut}", codec="f32")
    batches = hs.FeatureReader(view, hs.ReadOptions(shuffle="none", label=None)).epoch(0)
    features = np.concatenate([batch.features for batch in batches])
    return features, view.recipe, bytes(store.get(weights_name(view.recipe.weights)))


def varied(real: np.ndarray, start: int, count: int) -> np.ndarray:
    """Rows ``start`` to ``start + count`` of any number: mixtures of two real ones, the same each time."""
    random = np.random.default_rng([start, count])
    pairs = random.integers(0, len(real), (2, count))
    share = random.random((count, *[1] * (real.ndim - 1)), np.float32)
    return real[pairs[0]] * share + real[pairs[1]] * (1 - share)


def label_of(rows: np.ndarray) -> np.ndarray:
    """int64 [k]."""
    return rows % _CLASSES


def spans(rows: int) -> list[tuple[int, int]]:
    """Where each shard begins and how many rows it has."""
    return [(start, min(_SHARD_ROWS, rows - start)) for start in range(0, rows, _SHARD_ROWS)]


def half_chunks(real: np.ndarray, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All rows, shard by shard: float16 and labels."""
    for start, count in spans(rows):
        yield varied(real, start, count).astype(np.float16), label_of(np.arange(start, start + count))


def half_samples(real: np.ndarray, rows: int) -> Iterator[tuple[int, np.ndarray, int]]:
    """All rows, one by one: number, float16 and label."""
    number = 0
    for features, labels in half_chunks(real, rows):
        for row, label in zip(features, labels.tolist(), strict=True):
            yield number, row, label
            number += 1


def write_store(
    folder: Path, real: np.ndarray, recipe: Recipe, weights: bytes, rows: int, *, codec: str = CODEC
) -> None:
    """A dataset ``many`` of so many rows, as extraction would have stored it."""
    store = FolderStore(folder)
    ensure_marker(store)
    register_recipe(store, recipe, weights)
    shards = []
    for number, (start, count) in enumerate(spans(rows)):
        numbers, images = np.arange(start, start + count), f"{number:064x}"
        data = write_feature_shard(
            varied(real, start, count), codec=codec, recipe=recipe.digest, images=images, provenance={}
        )
        store.create(features_name(recipe.digest, codec, images), data)
        columns = {
            "key": [str(row) for row in numbers],
            "label": label_of(numbers),
            "subset": pa.nulls(count, pa.string()),
            "dropped": [False] * count,
        }
        annotations = write_annotations(pa.table(columns))
        store.put(annotations_name(file_digest(annotations)), annotations)
        shards.append(
            ShardRef(images=images, annotations=file_digest(annotations), layout="arrow", rows=count, bytes=count)
        )
    version = DatasetVersion(dataset="many", number=1, created="2026-01-01T00:00:00+00:00", shards=tuple(shards))
    store.create(version_name("many", 1), version.serialise())


def open_many(folder: Path) -> View:
    """The view of what ``write_store`` wrote."""
    return hs.open_view(FolderStore(folder), "many")
