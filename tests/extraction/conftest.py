"""A small store of real photographs, and EfficientNet-Lite0 with its real weights."""

from __future__ import annotations

import pytest

import hapistore as hs


@pytest.fixture(scope="session")
def prefix():
    return hs.load_backbone("efficientnet_lite0").prefix("pool")


@pytest.fixture
def store(tmp_path, photographs, imagenet, write_manifest):
    """48 photographs, JPEGs among them, in several image shards, as dataset ``mixed``."""
    images = [(path, "cell") for path in photographs[:28]] + [(path, "thing") for path, _ in imagenet]
    table = write_manifest(tmp_path / "mixed.csv", images)
    store = hs.open_store(tmp_path / "store")
    result = hs.ingest(store, "mixed", hs.manifest(table), hs.IngestOptions(shard_bytes=400_000))
    assert result.images == 48
    assert len(result.version.shards) > 3
    return store
