"""A small real store: images ingested, a recipe registered, features written; all without torch."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hapistore import IngestOptions, image_folder, ingest
from hapistore.catalog import latest_version, register_recipe
from hapistore.catalog.names import features_name
from hapistore.stores import FolderStore, MemoryStore, ObjectStore
from hapistore_format import DatasetVersion, Recipe, ShardRef, write_feature_shard, write_weights
from hapistore_format.weights import RawTensor

SHAPE = (4, 2, 2)


def write_photos(root: Path, count: int = 12) -> Path:
    for number in range(count):
        path = root / f"class{number % 3}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((16, 12), 10 + number).convert("RGB").save(path)
    (root / "class0" / "broken.png").write_bytes(b"no image at all")
    return root


def add_recipe(store: ObjectStore, architecture: str = "tiny_net", cut: str = "end", precision: str = "f32") -> Recipe:
    digest, weights = write_weights({"w": RawTensor("F32", (4,), architecture.encode().ljust(16)[:16])})
    recipe = Recipe(
        architecture=architecture,
        weights=digest,
        cut=cut,
        preprocess={"resize_px": 8},
        precision=precision,
        shape=SHAPE,
        notes={"by": "test"},
    )
    register_recipe(store, recipe, weights)
    return recipe


def add_features(
    store: ObjectStore, version: DatasetVersion, recipe: Recipe, codec: str, shards: int = 99
) -> list[str]:
    names = []
    for shard in version.shards[:shards]:
        features = np.random.default_rng(shard.rows).normal(size=(shard.rows, *SHAPE)).astype(np.float32)
        data = write_feature_shard(
            features, codec=codec, recipe=recipe.digest, images=shard.images, provenance={"by": "test"}
        )
        name = features_name(recipe.digest, codec, shard.images)
        store.create(name, data)
        names.append(name)
    return names


def some_version(dataset: str, number: int, *, shards: int = 1, created: str = "2026-01-01T00:00:00+00:00"):
    refs = tuple(
        ShardRef(images=f"{n:064x}", annotations=f"{n:064x}", layout="arrow", rows=1, bytes=1) for n in range(shards)
    )
    return DatasetVersion(dataset=dataset, number=number, created=created, shards=refs)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> FolderStore:
    """pets@1 of several shards with a quarantine report, one recipe, features in three codecs. Not to be changed."""
    root = tmp_path_factory.mktemp("catalog")
    store = FolderStore(root / "store")
    ingest(store, "pets", image_folder(write_photos(root / "photos")), IngestOptions(shard_bytes=3000))
    recipe = add_recipe(store)
    for codec in ("f32", "f16+zstd", "u8c+zstd"):
        add_features(store, latest_version(store, "pets"), recipe, codec)
    return store


@pytest.fixture
def copied(filled, tmp_path) -> FolderStore:
    """A copy of ``filled`` that may be broken."""
    store = FolderStore(tmp_path / "store")
    for info in filled.list():
        store.create(info.name, filled.get(info.name))
    return store


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    return SimpleNamespace(recipe=add_recipe, features=add_features, version=some_version, photos=write_photos)
