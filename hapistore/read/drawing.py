"""Draws by position: which variant of a row, which class, which row by its weight."""

from __future__ import annotations

import numpy as np

from hapistore_format.codecs.jit import jit

from .permutation import domain_bits, mix, place, round_keys

_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
# So that draws are independent of orders, and of each other.
_VARIANTS, _CLASSES, _WEIGHTS = 0x7661_7269_616E_7473, 0x636C_6173_7365_73, 0x7765_6967_6874_73
_UNIT = 2.0**-53


@jit
def _uniform(number: np.uint64, keys: np.ndarray) -> np.uint64:
    return mix(mix(number * _GOLDEN + keys[0]) + keys[1])


@jit
def _draw_variants(rows: np.ndarray, variants: int, keys: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(rows)):
        # The high half of a product of 32 bits: no remainder favours small numbers by more than variants / 2**32.
        out[i] = ((_uniform(np.uint64(rows[i]), keys) >> np.uint64(32)) * np.uint64(variants)) >> np.uint64(32)


def draw_variants(rows: np.ndarray, variants: int, seed: int, epoch: int) -> np.ndarray:
    """Which variant each row has in an epoch: uniform, and independent of who reads which rows.

    Args:
        rows: int64 [k], row numbers over the version's shards.

    Returns:
        int64 [k], each in ``range(variants)``.
    """
    out = np.empty(len(rows), np.int64)
    _draw_variants(rows, variants, round_keys(seed ^ _VARIANTS, epoch), out)
    return out


class BalancedDraw:
    """Every class as often as every other: an order, as in ``order``.

    Positions are cut into rounds of one row of each class, the classes of a round shuffled. A class's rows come in
    shuffled passes, all of them once before one comes again.

    Args:
        classes: int64 [rows chosen], the class of each place.
    """

    def __init__(self, classes: np.ndarray, seed: int) -> None:
        self._by_class = np.argsort(classes, kind="stable")
        _, firsts = np.unique(classes[self._by_class], return_index=True)
        self._edges = np.array([*firsts, len(classes)], np.int64)
        self._seed = seed

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self._edges) - 1

    def places(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        out = np.empty(len(positions), np.int64)
        _balanced_places(positions, self._edges, round_keys(self._seed ^ _CLASSES, epoch), out)
        return self._by_class[out]


@jit
def _balanced_places(positions: np.ndarray, edges: np.ndarray, keys: np.ndarray, out: np.ndarray) -> None:
    classes = len(edges) - 1
    seats = np.empty(classes, np.int64)
    seated = np.int64(-1)
    for i in range(len(positions)):
        turn = positions[i] // classes
        if turn != seated:
            _shuffle(seats, np.uint64(turn), keys)
            seated = turn
        chosen = seats[positions[i] - turn * classes]
        first = edges[chosen]
        size = edges[chosen + 1] - first
        sweep = turn // size
        tweak = mix(np.uint64(sweep * classes + chosen + 1) * _GOLDEN)
        out[i] = first + place(turn - sweep * size, size, domain_bits(size), keys, tweak)


@jit
def _shuffle(seats: np.ndarray, turn: np.uint64, keys: np.ndarray) -> None:
    """Fisher and Yates: a Feistel network would be walked a hundred times for two classes."""
    key = mix(turn + keys[2])
    for i in range(len(seats)):
        seats[i] = i
    for i in range(len(seats) - 1, 0, -1):
        key = mix(key + _GOLDEN)
        other = np.int64(((key >> np.uint64(32)) * np.uint64(i + 1)) >> np.uint64(32))
        seats[i], seats[other] = seats[other], seats[i]


class WeightedDraw:
    """Rows drawn with replacement, each as often as its weight says: an order, as in ``order``.

    Args:
        weights: float [rows chosen], none negative, one at least positive.
    """

    def __init__(self, weights: np.ndarray, seed: int) -> None:
        sums = np.cumsum(weights, dtype=np.float64)
        self._sums, self._last, self._seed = sums, int(np.flatnonzero(weights)[-1]), seed

    def places(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        drawn = np.empty(len(positions), np.float64)
        _draw_units(positions, round_keys(self._seed ^ _WEIGHTS, epoch), drawn)
        return np.minimum(np.searchsorted(self._sums, drawn * self._sums[-1], side="right"), self._last)


@jit
def _draw_units(positions: np.ndarray, keys: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(positions)):
        out[i] = np.float64(_uniform(np.uint64(positions[i]), keys) >> np.uint64(11)) * _UNIT
