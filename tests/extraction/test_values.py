"""Stored features are what the same weights give on the same pixels."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

import hapistore as hs
from hapistore.catalog import resolve_version
from hapistore.catalog.names import images_name
from hapistore.extraction.executors import openvino_model
from hapistore.extraction.executors.openvino import OpenVINOExecutor
from hapistore_format import ImageShardReader

TOLERANCE = 1e-4  # of precision f32, relative to the largest feature


@pytest.fixture
def expected(store, prefix):
    """A direct forward pass over every stored image, in the store's order."""
    pixels = []
    for shard in resolve_version(store, "mixed").shards:
        reader = ImageShardReader(store.get(images_name(shard.images)), where=shard.images)
        pixels += [prefix.preprocess(reader.image(row)) for row in range(len(reader))]
    with torch.inference_mode():
        return prefix.module(torch.from_numpy(np.stack(pixels))).numpy()


def stored(store, codec):
    """All features of a view in row order."""
    view = hs.open_view(store, "mixed", codec=codec)
    batches = hs.FeatureReader(view, hs.ReadOptions(shuffle="none", batch_size=7)).epoch(0)
    return np.concatenate([batch.features for batch in batches])


@pytest.mark.parametrize("executor", ["torch", "openvino"])
def test_f32_features_equal_a_direct_forward_pass(store, prefix, expected, executor):
    result = hs.extract(store, "mixed", prefix, codecs=["f32"], options=hs.ExtractOptions(executor=executor))
    assert result.images == 48
    assert result.executor.startswith(executor)
    found = stored(store, "f32")
    assert found.shape == expected.shape == (48, 1280)
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()
    per_row = np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1)
    assert per_row.max() <= TOLERANCE


def test_quantised_codecs_stay_within_their_stated_bounds(store, prefix):
    codecs = ["f32", "f32+zstd", "f16", "f16+zstd", "u8c", "u8c+zstd"]
    hs.extract(store, "mixed", prefix, codecs=codecs)
    exact = stored(store, "f32")
    assert np.array_equal(stored(store, "f32+zstd"), exact)
    for codec in ("f16", "f16+zstd"):
        assert (np.abs(stored(store, codec) - exact) <= np.maximum(2**-11 * np.abs(exact), 2**-25)).all()
    # Scale and zero are per shard, so the bound is too.
    first = 0
    for shard in resolve_version(store, "mixed").shards:
        rows = slice(first, first + shard.rows)
        low, high = exact[rows].min(axis=0), exact[rows].max(axis=0)
        bound = (high - low) / 500 + 2**-22 * np.maximum(np.abs(low), np.abs(high))
        for codec in ("u8c", "u8c+zstd"):
            assert (np.abs(stored(store, codec)[rows] - exact[rows]) <= bound).all()
        first = rows.stop


def test_equal_recipes_meet_and_other_recipes_do_not(store, prefix):
    first = hs.extract(store, "mixed", prefix, codecs=["f32"])
    again = hs.extract(store, "mixed", hs.load_backbone("efficientnet_lite0").prefix("pool"), codecs=["f32"])
    assert again.recipe.digest == first.recipe.digest
    assert again.images == 0
    other = hs.extract(store, "mixed", hs.load_backbone("efficientnet_lite0", weights="random").prefix("pool"))
    assert other.recipe.digest != first.recipe.digest
    assert other.images == 48


def test_a_prefix_is_converted_once_and_forgotten_with_it():
    own = hs.load_backbone("efficientnet_lite0", weights="random").prefix("pool")
    pixels = np.zeros((2, *own.preprocess.pixel_shape), np.uint8)
    first, second = OpenVINOExecutor(own), OpenVINOExecutor(own)
    assert np.array_equal(first.run(pixels), second.run(pixels))
    assert own in openvino_model._converted
    kept = len(openvino_model._converted)
    del own
    gc.collect()
    assert len(openvino_model._converted) == kept - 1
