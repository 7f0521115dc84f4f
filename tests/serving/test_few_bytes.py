"""How much crosses where a process that knows nothing yet reads an epoch of features that are stored."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pyarrow as pa
import pytest

import hapistore as hs
from hapistore.catalog import ensure_marker, register_recipe
from hapistore.catalog.names import annotations_name, features_name, version_name
from hapistore.catalog.reading import read_all
from hapistore_format import (
    AnnotationShard,
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
from hapistore_torch import FeaturePipe

SHARDS, ROWS, SHAPE, CODEC = 24, 110, (1280,), "u8c+zstd"
GONE = (MissingRow(4, "undecodable"), MissingRow(77, "crashed"))  # of the first shard
# Marker, version, whether it expired, whether there is a next one (and a first), recipe, missing rows, annotations.
CALLS = 8


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Features like those of a pooled layer behind a ReLU, in small shards; no images."""
    store, random = hs.open_store(tmp_path_factory.mktemp("few") / "store"), np.random.default_rng(0)
    ensure_marker(store)
    digest, weights = write_weights({"w": RawTensor("F32", (1,), bytes(4))})
    recipe = Recipe(architecture="tiny_net", weights=digest, cut="end", preprocess={}, shape=SHAPE)
    register_recipe(store, recipe, weights)
    shards = []
    for number in range(SHARDS):
        features = np.maximum(random.normal(-1, 1, (ROWS, *SHAPE)), 0).astype(np.float32)
        images = f"{number:064x}"
        data = write_feature_shard(
            features, codec=CODEC, recipe=recipe.digest, images=images, provenance={"executor": "openvino"},
            missing=GONE if number == 0 else (),
        )  # fmt: skip
        store.create(features_name(recipe.digest, CODEC, images), data)
        keys = [f"{number * ROWS + row:06d}" for row in range(ROWS)]
        columns = {"label": random.choice(["functional", "defective"], ROWS), "subset": ["train"] * ROWS}
        annotations = write_annotations(pa.table({"key": keys, **columns, "dropped": [False] * ROWS}))
        store.create(annotations_name(file_digest(annotations)), annotations)
        shards.append(
            ShardRef(images=images, annotations=file_digest(annotations), layout="arrow", rows=ROWS, bytes=4 << 20)
        )
    version = DatasetVersion(dataset="cells", number=1, created="2026-01-01T00:00:00Z", shards=tuple(shards))
    store.create(version_name("cells", 1), version.serialise())
    return store


@pytest.fixture(scope="module")
def served(serve, store):
    return serve(store)


def _recipe(store) -> str:
    return next(iter(store.list("recipes/"))).name.removeprefix("recipes/").removesuffix(".json")


def test_an_epoch_takes_hardly_more_bytes_than_its_features(served, store):
    stored = sum(info.bytes for info in store.list("features/"))
    with import_module("faulty_streams").faulty_streams(served.location, {}) as link:
        with hs.connect(link.location) as client:
            view = client.view("cells", recipe=_recipe(store), codec=CODEC)
            pipe = FeaturePipe(view, batch_size=128, shuffle="window", subset=None, columns=("key",))
            keys = [key for _, _, columns in pipe for key in columns["key"]]
            pipe.close()
        calls, crossed = link.calls, link.bytes
    assert view.missing == {0: GONE}
    assert len(set(keys)) == len(keys) == SHARDS * ROWS - len(GONE)
    assert calls == SHARDS + CALLS
    assert crossed < stored + 3 * len(keys)


def test_annotations_come_in_few_requests_and_are_the_stores(served, store):
    names = [info.name for info in store.list("annotations/")]
    with hs.connect(served.url) as client:
        assert client.get_many(names) == [store.get(name) for name in names]
        many = names * 8  # more than a ticket may name
        assert client.get_many(many) == [store.get(name) for name in many]
        assert client.get_many([]) == []
        with pytest.raises(hs.UsageError, match="no name of annotations"):
            client.get_many([names[0], "hapistore.json"])
    with hs.connect("grpc://127.0.0.1:1", bucket=store) as client:  # without a detour
        assert client.get_many(names) == [store.get(name) for name in names]


def test_annotations_that_came_damaged_are_fetched_again(served, store):
    names = [info.name for info in store.list("annotations/")]

    class Garbled(hs.ServiceClient):
        def get_many(self, names):
            first, *rest = super().get_many(names)
            changed = bytearray(first)
            changed[len(first) // 2] ^= 1
            return [memoryview(changed), *rest]

    with hs.connect(served.url) as client:
        found = read_all(Garbled(client.connection), names, AnnotationShard)
    expected = read_all(store, names, AnnotationShard)
    assert [one.table for one in found] == [one.table for one in expected]


def test_a_service_that_garbles_what_it_puts_together_is_asked_for_one_by_one(served, store, monkeypatch):
    names = [info.name for info in store.list("annotations/")][:3]

    def refuse(data, *, most):
        raise ValueError("it does not add up")

    monkeypatch.setattr("hapistore.service.service_store.unbundle", refuse)
    with hs.connect(served.url) as client:
        assert client.get_many(names) == [store.get(name) for name in names]
