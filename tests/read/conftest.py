"""Views over features that say which row they are: row r of the version has the features [r, r + 0.5]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hapistore.catalog import View, ensure_marker, register_recipe
from hapistore.catalog.names import annotations_name, features_name, version_name
from hapistore.stores import MemoryStore, ObjectStore
from hapistore_format import (
    DatasetVersion,
    MissingRow,
    Recipe,
    ShardRef,
    file_digest,
    write_annotations,
    write_feature_shard,
    write_weights,
)
from hapistore_format.weights import RawTensor

SHARDS = (7, 1, 12, 3)
SUBSETS = ("train", "train", "val", "test", None)


def features_of(rows: np.ndarray) -> np.ndarray:
    return np.stack([rows, rows + 0.5], axis=1).astype(np.float32)


def default_columns(rows: int) -> dict[str, Sequence[Any]]:
    return {
        "label": [("dog", "cat", "ant")[row % 3] for row in range(rows)],
        "subset": [SUBSETS[row % 5] for row in range(rows)],
        "dropped": [row % 6 == 4 for row in range(rows)],
        "number": list(range(100, 100 + rows)),
        "weight": [row / 4 for row in range(rows)],
    }


def build_view(
    shards: Sequence[int] = SHARDS,
    codec: str = "f32",
    missing: Sequence[int] = (),
    store: ObjectStore | None = None,
    **columns: Sequence[Any],
) -> View:
    store = store or MemoryStore()
    ensure_marker(store)
    digest, weights = write_weights({"w": RawTensor("F32", (1,), bytes(4))})
    recipe = Recipe(architecture="tiny_net", weights=digest, cut="end", preprocess={}, shape=(2,))
    register_recipe(store, recipe, weights)
    rows = sum(shards)
    whole = pa.table({"key": [f"{row}.png" for row in range(rows)], **default_columns(rows), **columns})
    refs, start = [], 0
    for number, count in enumerate(shards):
        annotations = write_annotations(whole.slice(start, count))
        images = f"{number:064x}"
        features = features_of(np.arange(start, start + count))
        gone = [MissingRow(row - start, "undecodable") for row in missing if start <= row < start + count]
        data = write_feature_shard(
            features, codec=codec, recipe=recipe.digest, images=images, provenance={}, missing=gone
        )
        store.create(features_name(recipe.digest, codec, images), data)
        store.put(annotations_name(file_digest(annotations)), annotations)
        refs.append(
            ShardRef(images=images, annotations=file_digest(annotations), layout="arrow", rows=count, bytes=count)
        )
        start += count
    version = DatasetVersion(dataset="pets", number=1, created="2026-01-01T00:00:00+00:00", shards=tuple(refs))
    store.create(version_name("pets", 1), version.serialise())
    return View(store=store, version=version, recipe=recipe, codec=codec)


@pytest.fixture(scope="session")
def view() -> View:
    """23 rows in four shards, every sixth dropped. Not to be changed."""
    return build_view()


@pytest.fixture(scope="session")
def make_view():
    return build_view


@pytest.fixture(scope="session")
def expected_features():
    return features_of
