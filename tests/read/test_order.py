"""The order of an epoch is a permutation, another one for every seed and epoch, and evaluated anywhere at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore.read import SHUFFLES, permute
from hapistore.read.order import _feistel, _round_keys


def whole(size: int, seed: int = 0, epoch: int = 0) -> np.ndarray:
    return permute(np.arange(size), size, seed, epoch)


@pytest.mark.parametrize("sizes", [range(1, 301), [1000], [1023, 1024, 1025], [65535, 65536, 65537]], ids=str)
def test_it_is_a_permutation(sizes):
    for size in sizes:
        for seed, epoch in ((0, 0), (1, 0), (0, 1), (12345, 67)):
            values = whole(size, seed, epoch)
            assert values.dtype == np.int64
            assert np.array_equal(np.sort(values), np.arange(size)), (size, seed, epoch)


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(st.integers(1, 3000), st.integers(-(1 << 63), (1 << 64) - 1), st.integers(0, 1 << 40))
def test_it_is_a_permutation_for_any_seed_and_epoch(size, seed, epoch):
    assert np.array_equal(np.sort(whole(size, seed, epoch)), np.arange(size))


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(st.data(), st.integers(1, 1 << 40), st.integers(0, 1000), st.integers(0, 1000))
def test_a_position_alone_goes_where_it_goes_among_others(data, size, seed, epoch):
    positions = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)), np.int64)
    together = permute(positions, size, seed, epoch)
    alone = [int(permute(positions[i : i + 1], size, seed, epoch)[0]) for i in range(len(positions))]
    assert together.tolist() == alone
    assert ((together >= 0) & (together < size)).all()


def test_a_slice_of_the_order_is_the_order_of_the_slice():
    values = whole(5000, 3, 4)
    for start, stop in ((0, 10), (4990, 5000), (1234, 2345)):
        assert np.array_equal(permute(np.arange(start, stop), 5000, 3, 4), values[start:stop])
    assert permute(np.arange(0), 5000, 3, 4).tolist() == []


def test_the_positions_are_left_as_they_are():
    positions = np.arange(100)
    permute(positions, 100, 1, 1)
    assert np.array_equal(positions, np.arange(100))


def test_seeds_and_epochs_give_different_orders():
    orders = {whole(50, seed, epoch).tobytes() for seed in range(30) for epoch in range(30)}
    assert len(orders) == 900
    assert whole(50, -1).tobytes() != whole(50, 1).tobytes()
    assert whole(50, 1 << 63).tobytes() != whole(50, 0).tobytes()


def test_the_order_is_the_same_on_every_machine():
    assert whole(10, 0, 0).tolist() == GOLDEN_ORDERS[0]
    assert whole(10, 42, 7).tolist() == GOLDEN_ORDERS[1]


# A reader's state names seed and epoch, so these may not change while states are stored.
GOLDEN_ORDERS = ([4, 2, 7, 0, 9, 1, 3, 8, 5, 6], [5, 3, 4, 1, 2, 0, 9, 6, 7, 8])


@pytest.mark.parametrize(("seeds", "epochs"), [(range(500), [0]), ([0], range(500))], ids=["seeds", "epochs"])
def test_every_value_is_as_likely_at_every_position(seeds, epochs):
    """Chi-square over the 10 × 10 table of position and value, over fixed seeds."""
    size = 10
    counts = np.zeros((size, size))
    for seed in seeds:
        for epoch in epochs:
            counts[np.arange(size), whole(size, seed, epoch)] += 1
    expected = counts.sum() / size**2
    chi_square = ((counts - expected) ** 2 / expected).sum()
    # 81 degrees of freedom: mean 81, and beyond 141 once in 30,000 tries of a truly uniform one
    assert 40 < chi_square < 141


def test_neighbours_are_not_kept_together():
    """Of 10,000 adjacent positions about 2 have adjacent values by chance."""
    for seed in range(5):
        assert (np.abs(np.diff(whole(10_000, seed))) == 1).sum() < 12


def test_pairs_of_first_values_are_uniform():
    """The first two values of size 5 over 300 seeds: 20 ordered pairs."""
    pairs = np.array([whole(5, seed)[:2] for seed in range(300)])
    counts = np.bincount(pairs[:, 0] * 5 + pairs[:, 1], minlength=25).reshape(5, 5)
    assert not counts.diagonal().any()
    off = counts[~np.eye(5, dtype=bool)]
    assert ((off - 15.0) ** 2 / 15).sum() < 50  # 19 degrees of freedom


@pytest.mark.parametrize("half", [1, 4, 7])
def test_the_network_is_a_bijection_of_its_domain(half):
    domain = np.arange(1 << (2 * half), dtype=np.uint64)
    assert np.array_equal(np.sort(_feistel(domain, half, _round_keys(3, 5))), domain)


def test_in_order_is_in_order():
    assert SHUFFLES["none"](np.arange(7), 7, 1, 2).tolist() == list(range(7))
    assert set(SHUFFLES) == {"global", "none"}
