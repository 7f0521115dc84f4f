"""Stored values that are turned into features afterwards are the features that a pipe gives."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import hapistore as hs
from hapistore.catalog import register_recipe
from hapistore.catalog.names import features_name
from hapistore_format import Recipe, codec_names, write_feature_shard
from hapistore_format.weights import write_weights
from hapistore_torch import Dequantise, FeaturePipe

SHAPES = {"pooled": (6,), "tokens": (5, 6), "map": (6, 3, 3)}


@pytest.fixture(scope="module", params=SHAPES)
def store(request, view, tmp_path_factory):
    """Random features of the same images, in every codec, in a copy of the store."""
    folder = tmp_path_factory.mktemp("copy") / "store"
    shutil.copytree(view.store.root, folder)
    store = hs.open_store(folder)
    shape = SHAPES[request.param]
    digest, weights = write_weights({})
    recipe = Recipe(architecture=f"random-{request.param}", weights=digest, cut="c", preprocess={}, shape=shape)
    register_recipe(store, recipe, weights)
    random = np.random.default_rng(7)
    for shard in view.version.shards:
        features = random.normal(size=(shard.rows, *shape)).astype(np.float32)
        for codec in codec_names():
            data = write_feature_shard(features, codec=codec, recipe=recipe.digest, images=shard.images, provenance={})
            store.create(features_name(recipe.digest, codec, shard.images), data)
    return lambda codec: hs.open_view(store, "rows", recipe=recipe.architecture, codec=codec)


@pytest.mark.parametrize("codec", codec_names())
def test_values_are_those_of_the_pipe(store, codec):
    view = store(codec)
    stored = FeaturePipe(view, batch_size=9, dequantise=False)
    dequantise = Dequantise(stored)
    if codec.startswith(("u8c", "u4c")):
        assert next(iter(stored))[0][0].dtype == torch.uint8
        stored = FeaturePipe(view, batch_size=9, dequantise=False)
    for ((values, sources), labels), (features, expected) in zip(stored, FeaturePipe(view, batch_size=9), strict=True):
        assert torch.equal(dequantise(values, sources), features)
        assert torch.equal(labels, expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_through_a_loader(store, workers):
    view = store("u8c+zstd")
    pipe = FeaturePipe(view, batch_size=9, dequantise=False)
    pipe.set_epoch(0)
    dequantise = Dequantise(pipe)
    found = [dequantise(*stored) for stored, _ in DataLoader(pipe, batch_size=None, num_workers=workers)]
    plain = FeaturePipe(view, batch_size=9)
    plain.set_epoch(0)
    assert all(torch.equal(a, b) for a, (b, _) in zip(found, plain, strict=True))


@pytest.mark.parametrize("options", [{}, {"subset": "test"}, {"augment": False}], ids=str)
def test_variants_have_the_parameters_of_what_is_drawn(view_of_variants, tmp_path, options):
    """Of images as they are, numbers are of shards; of variants, of a shard and a variant."""
    shutil.copytree(view_of_variants.store.root, tmp_path / "store")
    store = hs.open_store(tmp_path / "store")
    for recipe in (view_of_variants.recipe, *view_of_variants.variants):
        hs.transcode(store, "rows", codecs=["u8c"], recipe=recipe.digest)
    view = hs.open_view(store, "rows", recipe=view_of_variants.recipe.digest, codec="u8c", variants="all")
    stored = FeaturePipe(view, batch_size=9, dequantise=False, **options)
    dequantise = Dequantise(stored)
    plain = FeaturePipe(view, batch_size=9, **options)
    for ((values, sources), _), (features, _) in zip(stored, plain, strict=True):
        assert torch.equal(dequantise(values, sources), features)
