"""The order of an epoch: a pure, seeded permutation evaluated by position.

Nothing is stored and nothing is drawn in sequence, so any position costs the same and every rank and
loader worker finds its rows without asking another.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_ROUNDS = 8
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# So that the draws of variants are others than those of the order.
_VARIANTS = 0x7661_7269_616E_7473
# Below 8 bits a side a Feistel network mixes poorly; positions outside the domain are walked out of.
_MIN_HALF_BITS = 4


def permute(positions: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """Where a seeded permutation of ``range(size)`` sends each position.

    A balanced Feistel network over the next power of four, walked until it lands inside
    (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, "cycle walking").

    Args:
        positions: int64 [k], each in ``range(size)``.

    Returns:
        int64 [k].
    """
    half = max(_MIN_HALF_BITS, ((size - 1).bit_length() + 1) // 2)
    keys = _round_keys(seed, epoch)
    values = _feistel(positions.astype(np.uint64), half, keys)
    outside = np.flatnonzero(values >= size)
    while len(outside):
        values[outside] = _feistel(values[outside], half, keys)
        outside = outside[values[outside] >= size]
    return values.astype(np.int64)


def _feistel(values: np.ndarray, half: int, keys: list[np.uint64]) -> np.ndarray:
    mask = np.uint64((1 << half) - 1)
    bits = np.uint64(half)
    left, right = values >> bits, values & mask
    for key in keys:
        left, right = right, left ^ (_mix(right ^ key) & mask)
    return (left << bits) | right


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every bit depends on every other."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _round_keys(seed: int, epoch: int) -> list[np.uint64]:
    state = np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64)
    state = _mix(state + np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(epoch & 0xFFFFFFFFFFFFFFFF)
    steps = (np.arange(1, _ROUNDS + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    return list(_mix(_mix(state) + steps))


def draw_variants(rows: np.ndarray, variants: int, seed: int, epoch: int) -> np.ndarray:
    """Which variant each row has in an epoch: uniform, and independent of who reads which rows.

    Args:
        rows: int64 [k], row numbers over the version's shards.

    Returns:
        int64 [k], each in ``range(variants)``.
    """
    key = _round_keys(seed ^ _VARIANTS, epoch)[0]
    mixed = _mix(_mix(rows.astype(np.uint64) * _GOLDEN + key) + key)
    # The high half of a product of 32 bits: no remainder favours small numbers by more than variants / 2**32.
    return (((mixed >> np.uint64(32)) * np.uint64(variants)) >> np.uint64(32)).astype(np.int64)


def _in_order(positions: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    return positions


SHUFFLES: dict[str, Callable[[np.ndarray, int, int, int], np.ndarray]] = {"global": permute, "none": _in_order}
"""Shuffle mode → ``(positions, size, seed, epoch) → rows``. ``global`` is uniform over all rows."""
