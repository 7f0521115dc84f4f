"""The orders of an epoch are permutations, others for every seed and epoch, and evaluated anywhere at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore.read.drawing import BalancedDraw, WeightedDraw
from hapistore.read.order import GlobalOrder, InOrder, WindowOrder
from hapistore.read.permutation import feistel, permute, round_keys

PROPERTY = settings(max_examples=150, deadline=None, database=None, derandomize=True)
COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(any)


def whole(size: int, seed: int = 0, epoch: int = 0) -> np.ndarray:
    return permute(np.arange(size), size, seed, epoch)


class TestPermute:
    @pytest.mark.parametrize("sizes", [range(1, 301), [1000], [1023, 1024, 1025], [65535, 65536, 65537]], ids=str)
    def test_it_is_a_permutation(self, sizes):
        for size in sizes:
            for seed, epoch in ((0, 0), (1, 0), (0, 1), (12345, 67)):
                values = whole(size, seed, epoch)
                assert values.dtype == np.int64
                assert np.array_equal(np.sort(values), np.arange(size)), (size, seed, epoch)

    @PROPERTY
    @given(st.integers(1, 3000), st.integers(-(1 << 63), (1 << 64) - 1), st.integers(0, 1 << 40))
    def test_for_any_seed_and_epoch(self, size, seed, epoch):
        assert np.array_equal(np.sort(whole(size, seed, epoch)), np.arange(size))

    @PROPERTY
    @given(st.data(), st.integers(1, 1 << 40), st.integers(0, 1000), st.integers(0, 1000))
    def test_a_position_alone_goes_where_it_goes_among_others(self, data, size, seed, epoch):
        positions = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)), np.int64)
        together = permute(positions, size, seed, epoch)
        alone = [int(permute(positions[i : i + 1], size, seed, epoch)[0]) for i in range(len(positions))]
        assert together.tolist() == alone
        assert ((together >= 0) & (together < size)).all()

    def test_the_positions_are_left_as_they_are(self):
        positions = np.arange(100)
        permute(positions, 100, 1, 1)
        assert np.array_equal(positions, np.arange(100))

    def test_seeds_and_epochs_give_different_orders(self):
        orders = {whole(50, seed, epoch).tobytes() for seed in range(30) for epoch in range(30)}
        assert len(orders) == 900
        assert whole(50, -1).tobytes() != whole(50, 1).tobytes()
        assert whole(50, 1 << 63).tobytes() != whole(50, 0).tobytes()

    @pytest.mark.parametrize("bits", [1, 2, 8, 11, 14])
    def test_the_network_is_a_bijection_of_its_domain(self, bits):
        keys = round_keys(3, 5)
        values = [int(feistel(np.uint64(v), bits, keys, np.uint64(9))) for v in range(1 << bits)]
        assert sorted(values) == list(range(1 << bits))

    @pytest.mark.parametrize("size", [10, 100, 257])
    def test_every_position_gets_every_row_equally_often(self, size):
        """Pearson's statistic over 200 seeds and as many epochs: within six deviations of what chance gives."""
        runs = 40_000
        found = np.zeros((size, size), np.int64)
        positions = np.arange(size)
        for seed in range(200):
            for epoch in range(200):
                found[positions, permute(positions, size, seed, epoch)] += 1
        expected = runs / size
        statistic = ((found - expected) ** 2 / expected).sum()
        freedom = (size - 1) ** 2
        assert abs(statistic - freedom) < 6 * np.sqrt(2 * freedom)

    def test_neighbours_do_not_stay_neighbours(self):
        gaps = np.diff(whole(100_000))
        assert (np.abs(gaps) == 1).mean() < 1e-3
        assert abs(np.corrcoef(whole(100_000), np.arange(100_000))[0, 1]) < 0.02


@PROPERTY
@given(COUNTS, st.integers(1, 12), st.integers(0, 1 << 40), st.integers(0, 100), st.data())
def test_a_window_is_a_permutation_by_position(counts, window, seed, epoch, data):
    rows = sum(counts)
    order = WindowOrder(np.array(counts), seed, window)
    places = order.places(np.arange(rows), epoch)
    assert np.array_equal(np.sort(places), np.arange(rows))
    start = data.draw(st.integers(0, rows - 1))
    again = WindowOrder(np.array(counts), seed, window).places(np.arange(start, rows), epoch)
    assert np.array_equal(again, places[start:])


def shards_at_once(places: np.ndarray, counts: list[int]) -> int:
    """The most shards that are between their first and their last row at one position."""
    shard = np.repeat(np.arange(len(counts)), counts)[places]
    first = {s: i for i, s in reversed(list(enumerate(shard.tolist())))}
    last = {s: i for i, s in enumerate(shard.tolist())}
    return max(sum(first[s] <= i <= last[s] for s in first) for i in range(len(places)))


@PROPERTY
@given(COUNTS, st.integers(1, 12), st.integers(0, 1 << 40), st.integers(0, 100))
def test_a_window_never_needs_more_shards(counts, window, seed, epoch):
    places = WindowOrder(np.array(counts), seed, window).places(np.arange(sum(counts)), epoch)
    assert shards_at_once(places, counts) <= max(window, 1)


def test_a_window_moves_rows_across_its_spans():
    counts = [50] * 40
    places = WindowOrder(np.array(counts), 1, 8).places(np.arange(2000), 0)
    shard = places // 50
    # Neighbouring batches of 100 rows share shards, and each has rows of nearly all shards in the window.
    for start in range(200, 1700, 100):
        here, there = set(shard[start : start + 100]), set(shard[start + 100 : start + 200])
        assert len(here) >= 6 and here & there
    assert len(set(shard[:400])) <= 12


def test_a_window_of_one_shard_goes_shard_by_shard():
    counts = [5, 0, 9, 30]
    places = WindowOrder(np.array(counts), 4, 1).places(np.arange(44), 2)
    shard = np.repeat(np.arange(4), counts)[places]
    assert (np.diff(shard) != 0).sum() == 2
    assert any((np.diff(places[shard == s]) < 0).any() for s in (0, 2, 3))


@pytest.mark.parametrize("window", [1, 2, 6])
def test_windows_differ_by_seed_and_epoch(window):
    counts = np.array([7, 9, 11, 4, 8])
    orders = {
        WindowOrder(counts, seed, window).places(np.arange(39), epoch).tobytes()
        for seed in range(10)
        for epoch in range(10)
    }
    assert len(orders) == 100


class TestBalanced:
    @PROPERTY
    @given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 1 << 40), st.integers(0, 50))
    def test_every_round_has_every_class_once(self, classes, seed, epoch):
        labels = np.array(classes)
        draw = BalancedDraw(labels, seed)
        rounds = 2 * len(classes)
        places = draw.places(np.arange(rounds * draw.classes), epoch).reshape(rounds, -1)
        assert (np.sort(labels[places], axis=1) == np.unique(labels)).all()
        for label in np.unique(labels):
            own = places[labels[places] == label]
            size = (labels == label).sum()
            for start in range(0, len(own) - size + 1, size):  # all of them before one comes again
                assert len(set(own[start : start + size])) == size

    def test_by_position(self):
        labels = np.arange(100) % 7
        places = BalancedDraw(labels, 3).places(np.arange(500), 1)
        assert np.array_equal(BalancedDraw(labels, 3).places(np.arange(123, 321), 1), places[123:321])
        assert len({BalancedDraw(labels, 3).places(np.arange(70), epoch).tobytes() for epoch in range(50)}) == 50


class TestWeighted:
    def test_rows_come_as_often_as_their_weights_say(self):
        weights = np.array([0, 1, 2, 0, 5, 0.0])
        found = np.bincount(WeightedDraw(weights, 1).places(np.arange(80_000), 0), minlength=6) / 10_000
        assert found[[0, 3, 5]].tolist() == [0, 0, 0]
        assert np.abs(found[[1, 2, 4]] - [1, 2, 5]).max() < 0.1

    def test_by_position(self):
        draw = WeightedDraw(np.arange(50.0), 3)
        places = draw.places(np.arange(500), 1)
        assert np.array_equal(draw.places(np.arange(123, 321), 1), places[123:321])
        assert not np.array_equal(draw.places(np.arange(500), 2), places)


def test_in_order_is_in_order():
    assert InOrder().places(np.arange(7), 2).tolist() == list(range(7))


def test_orders_are_the_same_on_every_machine():
    assert GlobalOrder(10, 0).places(np.arange(10), 0).tolist() == GOLDEN["global"]
    assert WindowOrder(np.array([3, 4, 3]), 42, 2).places(np.arange(10), 7).tolist() == GOLDEN["window"]
    assert WindowOrder(np.array([3, 4, 3]), 42, 1).places(np.arange(10), 7).tolist() == GOLDEN["shard"]
    assert BalancedDraw(np.arange(10) % 3, 42).places(np.arange(10), 7).tolist() == GOLDEN["balanced"]
    assert WeightedDraw(np.arange(10.0), 42).places(np.arange(10), 7).tolist() == GOLDEN["weighted"]


GOLDEN = {
    "global": [4, 2, 7, 0, 9, 1, 3, 8, 5, 6],
    "window": [1, 0, 7, 2, 8, 9, 5, 3, 6, 4],
    "shard": [1, 2, 0, 7, 9, 8, 5, 3, 4, 6],
    "balanced": [8, 7, 9, 5, 1, 6, 2, 0, 4, 4],
    "weighted": [9, 9, 8, 2, 7, 6, 7, 8, 8, 4],
}
