"""Which images a page shows: evenly spread, the same every time, from few shards. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

_T = TypeVar("_T")
SPREAD = 16
"""Shards that are read even if fewer would show every label, so that what is shown comes from all over."""
MOST = 48
"""Shards that are read to have as many images of each label as are wanted; 3 GiB of usual ones."""


def evenly(items: Sequence[_T], count: int) -> list[_T]:
    """``count`` of the items, or all, from the middles of equal parts."""
    if len(items) <= count:
        return list(items)
    return [items[(2 * number + 1) * len(items) // (2 * count)] for number in range(count)]


def choose_shards(
    labels: Sequence[dict[int, int]], *, per_label: int, spread: int = SPREAD, most: int = MOST
) -> list[int]:
    """Shards to read so that every label is seen: at most one a label, or ``most`` where that is more.

    Args:
        labels: for each label, its images by shard; per_label: how many of them are wanted.

    Returns:
        Shard numbers, ascending.
    """
    holding = sorted({shard for shards in labels for shard in shards})
    spread_out = evenly(holding, spread)
    chosen: set[int] = set()
    for shards in sorted(labels, key=len):  # labels that few shards have leave the least choice
        if not chosen & shards.keys():
            near = [shard for shard in spread_out if shard in shards]
            chosen.add(_largest(shards, near or shards))
    for shard in spread_out:
        if len(chosen) < spread:
            chosen.add(shard)
    for shards in labels:
        while len(chosen) < most and sum(shards[shard] for shard in chosen & shards.keys()) < per_label:
            rest = shards.keys() - chosen
            if not rest:
                break
            chosen.add(_largest(shards, rest))
    return sorted(chosen)


def _largest(shards: dict[int, int], among: Iterable[int]) -> int:
    """The shard with most images of a label, the first of equals."""
    return max(among, key=lambda shard: (shards[shard], -shard))
