"""Seeded permutations evaluated by position: nothing is stored, and any position costs the same.

An alternating Feistel network over the next power of two, walked until it lands inside the domain (Black and Rogaway,
"Ciphers with arbitrary finite domains", CT-RSA 2002, "cycle walking").
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hapistore_format.codecs.jit import jit

_ROUNDS = 8
_WORD = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
# On fewer bits a Feistel network mixes poorly; positions outside the domain are walked out of.
_LEAST_BITS = 8
_NO_TWEAK = np.uint64(0)


@jit
def mix(value: np.uint64) -> np.uint64:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every bit depends on every other."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return value ^ (value >> np.uint64(31))


@lru_cache(64)
def round_keys(seed: int, epoch: int) -> np.ndarray:
    """Keys of the permutation of a seed and an epoch: uint64 [8], not to be written to."""
    with np.errstate(over="ignore"):
        state = mix(np.uint64(seed & _WORD) + _GOLDEN) ^ np.uint64(epoch & _WORD)
        steps = np.arange(1, _ROUNDS + 1, dtype=np.uint64) * _GOLDEN
        return np.array([mix(step) for step in mix(state) + steps], np.uint64)


@jit
def domain_bits(size: int) -> int:
    """Bits of the network for ``range(size)``: fewer than two passes are walked on average."""
    bits = _LEAST_BITS
    while (1 << bits) < size:
        bits += 1
    return bits


@jit
def feistel(value: np.uint64, bits: int, keys: np.ndarray, tweak: np.uint64) -> np.uint64:
    """One pass through the network: a bijection of ``range(2 ** bits)``."""
    low_bits = np.uint64(bits // 2)
    low_mask = (np.uint64(1) << low_bits) - np.uint64(1)
    high_mask = (np.uint64(1) << np.uint64(bits - bits // 2)) - np.uint64(1)
    high, low = value >> low_bits, value & low_mask
    for number in range(0, len(keys), 2):
        high ^= mix(low ^ keys[number] ^ tweak) & high_mask
        low ^= mix(high ^ keys[number + 1] ^ tweak) & low_mask
    return (high << low_bits) | low


@jit
def place(position: int, size: int, bits: int, keys: np.ndarray, tweak: np.uint64) -> np.int64:
    """Where the permutation of ``range(size)`` that ``keys`` and ``tweak`` choose sends a position."""
    value = feistel(np.uint64(position), bits, keys, tweak)
    while value >= np.uint64(size):
        value = feistel(value, bits, keys, tweak)
    return np.int64(value)


@jit
def _permute(positions: np.ndarray, size: int, keys: np.ndarray, tweak: np.uint64, out: np.ndarray) -> None:
    bits = domain_bits(size)
    for i in range(len(positions)):
        out[i] = place(positions[i], size, bits, keys, tweak)


def permute(positions: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """Where a seeded permutation of ``range(size)`` sends each position.

    Args:
        positions: int64 [k], each in ``range(size)``.

    Returns:
        int64 [k].
    """
    out = np.empty(len(positions), np.int64)
    _permute(positions, size, round_keys(seed, epoch), _NO_TWEAK, out)
    return out
