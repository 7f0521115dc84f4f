"""A real store whose features say which row they are: no network needed."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import hapistore as hs
from hapistore.catalog import register_recipe
from hapistore.catalog.names import features_name
from hapistore_format import Augmentation, Recipe, write_feature_shard
from hapistore_format.weights import write_weights

ROWS, VARIANTS = 103, 3


@pytest.fixture(scope="session")
def view(tmp_path_factory):
    """103 rows in several shards, classes a to c, subsets train (82) and test (21); feature 0 is the row."""
    folder = tmp_path_factory.mktemp("pixels")
    lines = ["path,label,subset,weight"]
    for row in range(ROWS):
        pixel = Image.new("RGB", (8, 8), (row, 255 - row, row // 2))
        data = io.BytesIO()
        pixel.save(data, "PNG")
        (folder / f"{row:03d}.png").write_bytes(data.getvalue())
        lines.append(f"{row:03d}.png,{'abc'[row % 3]},{'test' if row % 5 == 0 else 'train'},{row / 4}")
    (folder / "rows.csv").write_text("\n".join(lines))
    store = hs.open_store(tmp_path_factory.mktemp("store"))
    version = hs.ingest(store, "rows", hs.manifest(folder / "rows.csv"), hs.IngestOptions(shard_bytes=2000)).version
    assert len(version.shards) > 2
    digest, weights = write_weights({})
    plain = Recipe(architecture="row-number", weights=digest, cut="pool", preprocess={}, shape=(4,))
    flips = [
        Augmentation(seed=0, variant=k, crop_percent=None, flip=True, colour_percent=(0, 0, 0)) for k in range(VARIANTS)
    ]
    for augmentation in (None, *flips):
        recipe = replace(plain, augmentation=augmentation)
        register_recipe(store, recipe, weights)
        _store_rows(store, version, recipe)
    return hs.open_view(store, "rows")


def _store_rows(store, version, recipe):
    """Feature 3 is 1 of images as they are, and 2 and more of variants."""
    last = recipe.augmentation.variant + 2 if recipe.augmentation else 1
    first = 0
    for shard in version.shards:
        rows = np.arange(first, first + shard.rows, dtype=np.float32)
        data = write_feature_shard(
            np.stack([rows, -rows, rows * 2, np.full_like(rows, last)], axis=1),
            codec="f32",
            recipe=recipe.digest,
            images=shard.images,
            provenance={},
        )
        store.create(features_name(recipe.digest, "f32", shard.images), data)
        first += shard.rows


@pytest.fixture(scope="session")
def view_of_variants(view):
    return hs.open_view(view.store, "rows", variants=VARIANTS)
