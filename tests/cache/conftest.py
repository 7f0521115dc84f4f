"""Real feature shards, caches of a few of them, and a sampler of what they take on the disk."""

from __future__ import annotations

import numpy as np
import pytest

from hapistore.cache import ShardCache, ShardName
from hapistore_format import write_feature_shard

ORIGIN = "s3://bucket/prefix"


def make_shard(number: int, *, rows: int = 64, codec: str = "u8c+zstd") -> bytes:
    """A feature shard of its own number, some 200 KiB of it."""
    random = np.random.default_rng(number)
    features = np.maximum(random.normal(size=(rows, 16, 16, 16)), 0).astype(np.float32)
    return bytes(
        write_feature_shard(features, codec=codec, recipe="a" * 64, images=f"{number:064x}", provenance={"n": number})
    )


def name_of(number: int, origin: str = ORIGIN) -> ShardName:
    return ShardName(origin, f"features/{'a' * 64}/u8c+zstd/{number:064x}.arrow")


@pytest.fixture(scope="session")
def shards() -> list[bytes]:
    return [make_shard(number) for number in range(24)]


@pytest.fixture
def capacity(shards) -> int:
    """Room for six shards, and the index."""
    return (1 << 20) + (64 << 10) + 6 * (len(shards[0]) + 8192)


@pytest.fixture
def cache(tmp_path, capacity):
    with ShardCache(tmp_path / "cache", capacity_bytes=capacity, reserve_bytes=0) as cache:
        yield cache
        assert cache.check() == []
