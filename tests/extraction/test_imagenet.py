"""The whole Lite0, cut at its logits, recognises photographs when read back from feature shards."""

from __future__ import annotations

import numpy as np
import pytest

import hapistore as hs


@pytest.mark.parametrize("codec", ["f32", "f16+zstd", "u8c+zstd"])
def test_top_1_is_right_for_18_of_20(tmp_path, imagenet, write_manifest, codec):
    assert len(imagenet) == 20
    store = hs.open_store(tmp_path / "store")
    hs.ingest(store, "imagenet", hs.manifest(write_manifest(tmp_path / "imagenet.csv", imagenet)))
    hs.extract(store, "imagenet", hs.load_backbone("efficientnet_lite0").prefix("logits"), codecs=[codec])
    reader = hs.FeatureReader(hs.open_view(store, "imagenet"), hs.ReadOptions(batch_size=20, shuffle="none"))
    (batch,) = reader.epoch(0)
    assert batch.features.shape == (20, 1000)
    assert int(np.sum(batch.features.argmax(axis=1) == batch.targets)) >= 18
