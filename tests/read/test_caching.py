"""Reading through the node's cache: the same rows, fetched once, and nothing leased for longer than it is needed."""

from __future__ import annotations

import gc
import logging
import os
import pickle

import numpy as np
import pytest

from hapistore.cache import ShardCache
from hapistore.read import FeatureReader, ReadOptions
from hapistore.stores import FolderStore

MANY = (20,) * 40


def leased(cache: ShardCache) -> int:
    return sum(bool(shard.leased_by) for shard in cache.ls())


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "cache")


@pytest.fixture
def read(path):
    """Rows of some epochs of a view, read through the cache; every reader is closed."""

    def run(view, epochs=1, capacity=8 << 20, **options):
        source = FeatureReader(view, ReadOptions(cache=path, cache_bytes=capacity, **options))
        try:
            return [
                (np.concatenate([batch.rows for batch in batches]), np.concatenate([b.features for b in batches]))
                for batches in (list(source.epoch(epoch)) for epoch in range(epochs))
            ]
        finally:
            source.close()

    return run


@pytest.fixture
def fetched(make_view):
    """Names of feature shards that were fetched, of a view that is made."""

    def make(*args, **options):
        view = make_view(*args, **options)
        names, get = [], view.store.get
        view.store.get = lambda name: names.append(name) or get(name)
        return view, lambda: [name for name in names if name.startswith("features/")]

    return make


@pytest.mark.parametrize("codec", ["f32", "f32+zstd", "f16+lz4", "bf16+zstd", "u8c+zstd", "u4c+zstd"])
@pytest.mark.parametrize("shuffle", ["global", "window", "shard", "none"])
def test_the_same_rows_and_values(make_view, read, codec, shuffle):
    view = make_view(MANY, codec=codec, dropped=[False] * 800)
    plain = FeatureReader(view, ReadOptions(shuffle=shuffle, window_shards=4))
    for epoch, (rows, features) in enumerate(read(view, 2, shuffle=shuffle, window_shards=4)):
        expected = list(plain.epoch(epoch))
        assert np.array_equal(rows, np.concatenate([batch.rows for batch in expected]))
        assert np.array_equal(features, np.concatenate([batch.features for batch in expected]))


def test_the_next_reader_fetches_nothing(fetched, read, path):
    view, names = fetched(MANY, codec="u8c+zstd", dropped=[False] * 800)
    read(view)
    assert len(names()) == len(set(names())) == len(MANY)
    read(view, 2, shuffle="window")
    assert len(names()) == len(MANY)
    with ShardCache(path) as cache:
        assert {shard.codec for shard in cache.ls()} == {"u8c"}
        assert cache.check() == []


def test_what_is_read_is_given_back(make_view, path):
    view = make_view(MANY, codec="u8c+zstd", dropped=[False] * 800)
    source = FeatureReader(view, ReadOptions(cache=path, cache_bytes=8 << 20))
    for _ in source.epoch(0):
        pass
    with ShardCache(path) as cache:
        assert leased(cache) == len(MANY)
        source.close()
        assert leased(cache) == 0
        for _ in source.epoch(1):
            pass
        assert leased(cache) == len(MANY)
        del source, _
        gc.collect()
        other = FeatureReader(view, ReadOptions(cache=path, shuffle="none", take=1))
        next(other.epoch(0))
        other.close()
        assert leased(cache) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cache_that_is_too_small_keeps_what_comes_soonest(make_view, path, workers):
    """Files of 12 KiB: 80 of the 120 have room."""
    rows, shards = 1000, 120
    view = make_view((rows,) * shards, codec="f32", dropped=[False] * shards * rows)
    options = ReadOptions(cache=path, cache_bytes=2 << 20, shuffle="shard", batch_size=rows)
    source = FeatureReader(view, options)
    for epoch in range(3):
        parts = [source.epoch(epoch, worker=worker, workers=workers) for worker in range(workers)]
        rows_read = np.concatenate([batch.rows for part in parts for batch in part])
        assert sorted(rows_read) == list(range(shards * rows))
    source.close()
    with ShardCache(path) as cache:
        # Of the uses of two epochs, less those of what was open still.
        assert cache.stats()["hits"] > 2 / 3 * shards
        assert cache.check() == []


def test_less_than_a_window_is_said_and_read_all_the_same(make_view, read, caplog):
    view = make_view((30_000,) * 8, codec="f32", dropped=[False] * 240_000)
    with caplog.at_level(logging.WARNING):
        ((rows, _),) = read(view, capacity=2 << 20, batch_size=1000)
    assert "a training window takes" in caplog.text
    assert len(rows) == 240_000


def test_what_is_damaged_in_the_cache_is_fetched_again(fetched, read, path):
    view, names = fetched(MANY, codec="u8c+zstd", dropped=[False] * 800)
    ((rows, features),) = read(view)
    shards = sorted(os.scandir(f"{path}/shards"), key=lambda entry: entry.name)
    for shard in shards[:3]:
        with open(shard.path, "r+b") as file:
            file.seek(600)
            file.write(b"\xff" * 8)
    ((again, found),) = read(view)
    assert np.array_equal(rows, again)
    assert np.array_equal(features, found)
    assert len(names()) == len(MANY) + 3


def test_a_child_leases_for_itself(make_view, path, tmp_path):
    view = make_view(MANY, store=FolderStore(tmp_path / "store"), codec="u8c+zstd", dropped=[False] * 800)
    source = FeatureReader(view, ReadOptions(cache=path, cache_bytes=8 << 20))
    expected = [batch.rows for batch in source.epoch(0)]
    child = os.fork()
    if child == 0:
        try:
            same = all(np.array_equal(a, b.rows) for a, b in zip(expected, source.epoch(0), strict=True))
            os._exit(0 if same else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert all(np.array_equal(a, b.rows) for a, b in zip(expected, source.epoch(0), strict=True))
    source.close()
    with ShardCache(path) as cache:
        assert {finding.code for finding in cache.check(fix=True)} == {"left-over"}  # the child closed nothing
        assert cache.check() == []
        assert leased(cache) == 0


def test_options_pickle(path):
    options = ReadOptions(cache=path, cache_bytes=8 << 20)
    assert pickle.loads(pickle.dumps(options)) == options
