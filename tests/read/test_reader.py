"""Every selected row exactly once with its own features and target, however it is cut into parts and batches."""

from __future__ import annotations

import logging
import sys
import threading

import numpy as np
import pytest

from hapistore.catalog.names import features_name
from hapistore.errors import HapistoreError, NotFound, UsageError
from hapistore.read import FeatureReader, ReadOptions
from hapistore.read.shards import OpenShards
from hapistore_format import DamagedError, codec_names

LIVE = [row for row in range(23) if row % 6 != 4]


def reader(view, **options) -> FeatureReader:
    return FeatureReader(view, ReadOptions(**options))


def rows_of(batches) -> list[int]:
    return [row for batch in batches for row in batch.rows.tolist()]


@pytest.mark.parametrize("shuffle", ["global", "none"])
@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 18, 19, 20, 1000])
@pytest.mark.parametrize("drop_last", [False, True])
def test_every_selected_row_comes_exactly_once(view, shuffle, parts, batch_size, drop_last):
    source = reader(view, shuffle=shuffle, batch_size=batch_size, last="drop" if drop_last else "keep")
    assert source.rows == len(LIVE) == 19
    by_part = [list(source.epoch(3, worker=part, workers=parts)) for part in range(parts)]
    assert [len(batches) for batches in by_part] == [
        len(range(part, source.steps().count, parts)) for part in range(parts)
    ]
    batches = [batch for batches in by_part for batch in batches]
    assert len(batches) == source.steps().count
    rows = rows_of(batches)
    assert len(rows) == len(set(rows))
    assert set(rows) <= set(LIVE)
    assert len(rows) == (19 // batch_size * batch_size if drop_last else 19)
    sizes = sorted(len(batch.rows) for batch in batches)
    assert all(size == batch_size for size in sizes[1:])
    assert not sizes or sizes[0] == (batch_size if drop_last or 19 % batch_size == 0 else 19 % batch_size)


@pytest.mark.parametrize("batch_size", range(1, 25))
def test_features_and_targets_are_those_of_the_row(view, expected_features, batch_size):
    for batch in reader(view, batch_size=batch_size, label="number").epoch(1):
        assert batch.features.dtype == np.float32
        assert np.array_equal(batch.features, expected_features(batch.rows))
        assert batch.targets.tolist() == (batch.rows + 100).tolist()


def test_parts_interleave_what_one_reader_sees(view):
    source = reader(view, batch_size=2)
    whole = [batch.rows.tolist() for batch in source.epoch(0)]
    for parts in (2, 3):
        for part in range(parts):
            assert [b.rows.tolist() for b in source.epoch(0, worker=part, workers=parts)] == whole[part::parts]


def test_without_shuffling_rows_come_in_order(view):
    source = reader(view, shuffle="none", batch_size=4)
    for epoch in (0, 1):
        assert rows_of(source.epoch(epoch)) == LIVE


def test_epochs_and_seeds_differ_and_repeat(view):
    orders = {}
    for seed in (0, 1, 2):
        for epoch in (0, 1, 2):
            orders[seed, epoch] = tuple(rows_of(reader(view, seed=seed, batch_size=3).epoch(epoch)))
            assert orders[seed, epoch] == tuple(rows_of(reader(view, seed=seed, batch_size=3).epoch(epoch)))
    assert len(set(orders.values())) == 9


@pytest.mark.parametrize(("subset", "remainder"), [("train", (0, 1)), ("val", (2,)), ("test", (3,))])
def test_a_subset(view, subset, remainder):
    source = reader(view, subset=subset, batch_size=4)
    expected = [row for row in LIVE if row % 5 in remainder]
    assert source.rows == len(expected)
    assert sorted(rows_of(source.epoch(0))) == expected


def test_dropped_rows_are_left_out(make_view):
    view = make_view(dropped=[row != 8 for row in range(23)])
    assert rows_of(reader(view).epoch(0)) == [8]


def test_without_a_label_there_is_none(view, make_view):
    assert all(batch.targets is None for batch in reader(view, label=None).epoch(0))
    unlabelled = make_view(label=[None] * 23)
    assert len(rows_of(reader(unlabelled, label=None).epoch(0))) == 19


@pytest.mark.parametrize("codec", codec_names())
def test_every_codec(make_view, expected_features, codec):
    view = make_view(codec=codec)
    for batch in reader(view, batch_size=5).epoch(0):
        assert np.allclose(batch.features, expected_features(batch.rows), atol=0.8 if "u4c" in codec else 0.06)


@pytest.mark.parametrize("memory_bytes", [0, 1, 60, 100, 1 << 30])
def test_little_memory_changes_nothing_but_the_speed(view, expected_features, memory_bytes):
    rows = []
    for batch in reader(view, memory_bytes=memory_bytes, batch_size=3).epoch(0):
        assert np.array_equal(batch.features, expected_features(batch.rows))
        rows += batch.rows.tolist()
    assert sorted(rows) == LIVE


def test_little_memory_is_said_once(view, caplog):
    with caplog.at_level(logging.WARNING):
        list(reader(view, memory_bytes=1, batch_size=3).epoch(0))
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "Raise memory_bytes" in caplog.text
    caplog.clear()
    list(reader(view, batch_size=3).epoch(0))
    assert not caplog.records


def test_what_was_evicted_makes_room(make_view):
    view = make_view()
    fetched = []
    get = view.store.get
    view.store.get = lambda name: fetched.append(name) or get(name)
    shards = OpenShards(view, memory_bytes=130)  # 56, 8, 96 and 24 bytes: all but the first fit together
    for number in (0, 2, 1, 3, 2, 1, 3, 1):
        shards.get(number)
    assert fetched == [view.feature_names()[number] for number in (0, 2, 1, 3)]
    shards.get(0)
    assert len(fetched) == 5


def test_a_batch_is_the_callers_own(view, expected_features):
    source = reader(view, shuffle="none", batch_size=23)
    first = next(source.epoch(0))
    first.features[:] = -1
    first.rows[:] = -1
    again = next(source.epoch(0))
    assert np.array_equal(again.features, expected_features(np.array(LIVE)))
    assert again.features.flags.writeable


def test_a_large_epoch_over_many_batches(make_view, expected_features):
    view = make_view((1500, 1, 2000, 499), dropped=[False] * 4000)
    rows = []
    for batch in reader(view, batch_size=7, label=None).epoch(5):
        assert np.array_equal(batch.features, expected_features(batch.rows))
        rows += batch.rows.tolist()
    assert sorted(rows) == list(range(4000))
    assert rows[:7] != sorted(rows)[:7]


def test_threads_may_share_a_reader(view, expected_features):
    source = reader(view, batch_size=2, memory_bytes=60)
    wrong, rows = [], []

    def read(part):
        for batch in source.epoch(0, worker=part, workers=4):
            rows.extend(batch.rows.tolist())
            if not np.array_equal(batch.features, expected_features(batch.rows)):
                wrong.append(batch)

    def read_often(part):
        try:
            for _ in range(20):
                read(part)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=read_often, args=(part,)) for part in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
    assert sorted(rows) == sorted(LIVE * 20)


@pytest.mark.parametrize(("memory_bytes", "reads"), [(1 << 30, [4]), (23 * 8, [4]), (1, range(10, 22))])
def test_a_shard_that_fits_in_memory_is_read_once(make_view, memory_bytes, reads):
    view = make_view()
    fetched = []
    get = view.store.get
    view.store.get = lambda name: fetched.append(name) or get(name)
    source = reader(view, memory_bytes=memory_bytes, shuffle="none", batch_size=3)
    fetched.clear()  # the annotations
    for epoch in range(3):
        list(source.epoch(epoch))
    # With little memory the last shard of an epoch may be the first of the next, and two threads may want one in turn.
    assert len(fetched) in reads


class TestBrokenShards:
    def name(self, view, shard: int) -> str:
        return features_name(view.recipe.digest, view.codec, view.version.shards[shard].images)

    def test_a_damaged_shard_is_named(self, make_view):
        view = make_view()
        name = self.name(view, 2)
        data = bytearray(view.store.get(name))
        data[len(data) // 3] ^= 4
        view.store.put(name, bytes(data))
        with pytest.raises(DamagedError) as caught:
            list(reader(view).epoch(0))
        assert caught.value.where == name
        assert name in str(caught.value)

    def test_a_missing_shard_is_named(self, make_view):
        view = make_view()
        view.store.delete(self.name(view, 1))
        with pytest.raises(NotFound, match=self.name(view, 1)):
            list(reader(view).epoch(0))

    def test_another_shard_in_its_place_is_refused(self, make_view):
        view = make_view((5, 5))
        view.store.put(self.name(view, 0), view.store.get(self.name(view, 1)))
        with pytest.raises(HapistoreError, match="holds features of something else"):
            list(reader(view).epoch(0))

    def test_whole_shards_are_read_though_another_is_damaged(self, make_view):
        view = make_view()
        view.store.put(self.name(view, 3), b"damaged")
        batches = reader(view, shuffle="none", batch_size=2).epoch(0)
        assert rows_of([next(batches), next(batches)]) == LIVE[:4]


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": -1}, {"shuffle": "random"}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        ReadOptions(**options)
