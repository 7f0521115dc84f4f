"""The order of an epoch, evaluated by position.

Nothing is drawn in sequence, so any position costs the same, and every rank and loader worker finds its rows without
asking another. An order is of *places*: indices into the rows that a reader has chosen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from hapistore_format.codecs.jit import jit

from .permutation import domain_bits, mix, permute, place, round_keys

SHUFFLES = ("global", "window", "shard", "none")
_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
# So that shards, the first and the second pass over their rows, and draws each have numbers of their own.
_OF_SHARDS, _OF_PASSES = 0x7368_6172_6473, 0x7061_7373_6573


class Order(Protocol):
    """Which place each position of an epoch has."""

    def places(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        """int64 [k] to int64 [k], all of them within the rows chosen."""


class InOrder:
    """Rows as they are stored."""

    def places(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        return positions


class GlobalOrder:
    """Uniform over all rows: every row may come at any position. It wants every shard at hand."""

    def __init__(self, rows: int, seed: int) -> None:
        self._rows, self._seed = rows, seed

    def places(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        return permute(positions, self._rows, self._seed, epoch)


class WindowOrder:
    """Shards shuffled, then rows within a window that moves over them: for shards that come over a slow link.

    Positions are cut into spans twice, each time into such of half the window's shards, the second cuts in the middle
    of the first; rows are permuted within the spans of one cut, then within those of the other. So a row may come
    anywhere within two neighbouring spans, no position needs more than ``window`` shards, and at a span's end half of
    them are done with.

    Args:
        counts: rows chosen of each shard, in the shards' order.
        window: shards; with 1 each is shuffled for itself.
    """

    def __init__(self, counts: np.ndarray, seed: int, window: int) -> None:
        self._counts, self._seed, self._window = np.asarray(counts, np.int64), seed, window
        self._plan = lru_cache(2)(self._make_plan)

    def sequence(self, epoch: int) -> np.ndarray:
        """Shards in the order in which an epoch comes to them, int64; not those of which nothing is chosen."""
        sequence = permute(np.arange(len(self._counts)), len(self._counts), self._seed ^ _OF_SHARDS, epoch)
        return sequence[self._counts[sequence] > 0]

    def places(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        inner, outer, starts, firsts = self._plan(epoch)
        out = np.empty(len(positions), np.int64)
        _window_places(positions, inner, outer, round_keys(self._seed ^ _OF_PASSES, epoch), starts, firsts, out)
        return out

    def _make_plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Edges of the spans of both cuts; where each shard begins in the shuffled sequence, and its first place."""
        sequence = self.sequence(epoch)
        starts = np.cumsum([0, *self._counts[sequence]])
        firsts = np.cumsum([0, *self._counts])[sequence]
        edges = np.unique([*starts[:: max(1, self._window // 2)], starts[-1]])
        if self._window == 1:
            return edges, edges[[0, -1]][:0], starts, firsts
        middles = (edges[:-1] + edges[1:]) // 2
        return edges, np.unique([0, *middles, edges[-1]]), starts, firsts


@jit
def _window_places(
    positions: np.ndarray,
    inner: np.ndarray,
    outer: np.ndarray,
    keys: np.ndarray,
    starts: np.ndarray,
    firsts: np.ndarray,
    out: np.ndarray,
) -> None:
    for i in range(len(positions)):
        at = positions[i]
        if len(outer):
            at = _place_in_span(at, outer, keys, np.uint64(1))
        at = _place_in_span(at, inner, keys, np.uint64(0))
        shard = np.searchsorted(starts, at, side="right") - 1
        out[i] = firsts[shard] + at - starts[shard]


@jit
def _place_in_span(at: int, edges: np.ndarray, keys: np.ndarray, which: np.uint64) -> int:
    span = np.searchsorted(edges, at, side="right") - 1
    first = edges[span]
    size = edges[span + 1] - first
    tweak = mix((np.uint64(2) * np.uint64(span) + which + np.uint64(1)) * _GOLDEN)
    return first + place(at - first, size, domain_bits(size), keys, tweak)
