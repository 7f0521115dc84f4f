"""``hapistore cache``: what it prints, and what it leaves."""

from __future__ import annotations

import json

import numpy as np
import pytest

import hapistore as hs
from hapistore.catalog import ensure_marker, latest_version, register_recipe
from hapistore.catalog.names import features_name
from hapistore_format import Recipe, write_feature_shard, write_weights
from hapistore_format.weights import RawTensor

SHAPE = (64, 16, 16)


@pytest.fixture
def store(tmp_path, write_source):
    """A dataset of eight image shards with features of some tens of KiB each."""
    store = hs.open_store(str(tmp_path / "store"))
    ensure_marker(store)
    hs.ingest(store, "pets", hs.image_folder(write_source(tmp_path / "photos", 32)), hs.IngestOptions(shard_bytes=900))
    digest, weights = write_weights({"w": RawTensor("F32", (1,), bytes(4))})
    recipe = Recipe(architecture="tiny", weights=digest, cut="end", preprocess={}, shape=SHAPE)
    register_recipe(store, recipe, weights)
    for number, shard in enumerate(latest_version(store, "pets").shards):
        features = np.random.default_rng(number).random((shard.rows, *SHAPE), np.float32)
        data = write_feature_shard(features, codec="u8c+zstd", recipe=recipe.digest, images=shard.images, provenance={})
        store.create(features_name(recipe.digest, "u8c+zstd", shard.images), data)
    return store.url


@pytest.fixture
def cache(tmp_path):
    return ["--cache", tmp_path / "cache"]


def test_warm_list_pin_evict_and_clear(answer, succeed, hapistore, store, cache):
    warmed = answer("cache", "warm", "pets", "--store", store, *cache, "--capacity", "64MiB", "--reserve", "0")
    count = warmed["fetched"]
    assert count > 4 and (warmed["present"], warmed["no room"], warmed["decoded"]) == (0, 0, True)
    again = answer("cache", "warm", "pets", "--store", store, *cache)
    assert (again["fetched"], again["present"]) == (0, count)
    shards = answer("cache", "ls", *cache)["shards"]
    assert len(shards) == count and {shard["codec"] for shard in shards} == {"u8c"}
    assert {shard["origin"] for shard in shards} == {store}
    assert shards[0]["key"][:12] in succeed("cache", "ls", *cache).stdout
    stats = answer("cache", "stats", *cache)
    assert (stats["hits"], stats["misses"], stats["hit_rate"]) == (count, count, 0.5)
    assert "50.0% of leases" in succeed("cache", "stats", *cache).stdout
    assert answer("cache", "pin", shards[0]["key"][:12], shards[1]["name"], *cache) == {"pinned": 2}
    assert answer("cache", "evict", shards[2]["key"], *cache)["removed"] == 1
    cleared = answer("cache", "clear", *cache)
    assert (cleared["removed"], cleared["stayed"]) == (count - 3, 2)
    assert answer("cache", "unpin", "features/*", *cache) == {"unpinned": 2}
    assert "removed 2 shards" in succeed("cache", "clear", *cache).stdout
    assert "is empty" in succeed("cache", "ls", *cache).stdout
    missing = hapistore("cache", "evict", "nothing", *cache)
    assert missing.returncode == 2 and "no shard" in missing.stderr


def test_warm_says_what_did_not_fit(hapistore, store, cache):
    done = hapistore("cache", "warm", "pets", "--store", store, *cache, "--capacity", "1400KiB", "--reserve", "0")
    assert done.returncode == 1 and "did not fit in 1.37 MiB" in done.stderr


def test_check_finds_and_fixes(hapistore, answer, store, cache, tmp_path):
    answer("cache", "warm", "pets", "--store", store, *cache, "--capacity", "64MiB", "--reserve", "0")
    key = answer("cache", "ls", *cache)["shards"][0]["key"]
    with open(tmp_path / "cache/shards" / key, "rb+") as file:
        file.write(b"damage")
    found = hapistore("cache", "check", *cache, "--json")
    assert found.returncode == 1
    assert [finding["code"] for finding in json.loads(found.stdout)["findings"]] == ["damaged"]
    assert "mended" in hapistore("cache", "check", "--fix", *cache).stdout
    assert hapistore("cache", "check", *cache).stdout.endswith("all sound\n")


def test_there_is_no_cache(hapistore, tmp_path):
    found = hapistore("cache", "ls", "--cache", tmp_path / "nothing")
    assert found.returncode == 2 and "there is no cache" in found.stderr
