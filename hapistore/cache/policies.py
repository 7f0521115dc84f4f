"""Which shards make room for another: functions of plain data, the same for the cache and for simulations of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Candidate(NamedTuple):
    """A shard that may be evicted, or that asks for room.

    Attributes:
        bytes: what it takes.
        next_use: how many uses lie before its next one, in the nearest of the orders announced; None: in none.
        used, created: when it was used last, and when it came; only their order matters.
    """

    bytes: int
    next_use: int | None
    used: float
    created: float


Rank = tuple[float, ...]


class Policy(NamedTuple):
    """Who goes first.

    Attributes:
        rank: the highest goes first.
        bypass: whether a shard that ranks above all others is not let in at all.
    """

    rank: Callable[[Candidate], Rank]
    bypass: bool = False


def _next_use(shard: Candidate) -> Rank:
    """Belady's MIN. What nobody announced goes before all else, least recently used first."""
    if shard.next_use is None:
        return 1, 0, -shard.used
    return 0, shard.next_use, -shard.used


def _lru(shard: Candidate) -> Rank:
    return (-shard.used,)


def _fifo(shard: Candidate) -> Rank:
    return (-shard.created,)


def _mru(shard: Candidate) -> Rank:
    return (shard.used,)


POLICIES = {
    "next-use": Policy(_next_use, bypass=True),
    "lru": Policy(_lru),
    "fifo": Policy(_fifo),
    "mru": Policy(_mru),
}
"""By name. Deleting a shard as soon as it was used is ``mru``."""


def choose_victims(
    candidates: Sequence[Candidate], arriving: Candidate, needed_bytes: int, policy: Policy
) -> list[int] | None:
    """Which candidates go, so that ``needed_bytes`` come free.

    Returns:
        Their places among ``candidates``, in the order in which they go; None where the arriving shard is not to come:
        there is too little to evict, or it would take the place of what the policy prefers.
    """
    if needed_bytes <= 0:
        return []
    ranks = [policy.rank(candidate) for candidate in candidates]
    own = policy.rank(arriving)
    chosen, freed = [], 0
    for place in sorted(range(len(candidates)), key=ranks.__getitem__, reverse=True):
        if policy.bypass and ranks[place] < own:
            return None
        chosen.append(place)
        freed += candidates[place].bytes
        if freed >= needed_bytes:
            return chosen
    return None
