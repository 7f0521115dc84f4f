"""Which shards go: pure functions, held against the offline optimum that is computed another way."""

from __future__ import annotations

import math
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hapistore.cache import POLICIES, Candidate, choose_form, choose_victims, preflight

traces = st.lists(st.integers(0, 5), min_size=1, max_size=24)


def simulate(trace: list[int], slots: int, policy: str) -> int:
    """Hits of a cache of ``slots`` shards of one byte, by the functions that the cache itself uses."""
    cached: dict[int, Candidate] = {}
    hits = 0
    for now, wanted in enumerate(trace):

        def next_use(shard: int, now: int = now) -> int | None:
            return next((place for place in range(now + 1, len(trace)) if trace[place] == shard), None)

        if wanted in cached:
            hits += 1
            cached[wanted] = cached[wanted]._replace(used=now)
            continue
        arriving = Candidate(1, next_use(wanted), now, now)
        keys = list(cached)
        candidates = [cached[key]._replace(next_use=next_use(key)) for key in keys]
        victims = choose_victims(candidates, arriving, len(cached) + 1 - slots, POLICIES[policy])
        if victims is None:
            continue
        for place in victims:
            del cached[keys[place]]
        cached[wanted] = arriving
    return hits


def optimum(trace: tuple[int, ...], slots: int) -> int:
    """The most hits there can be, by trying everything: any cached shard may go, and none need come."""

    @lru_cache(None)
    def best(at: int, cached: frozenset[int]) -> int:
        if at == len(trace):
            return 0
        wanted = trace[at]
        if wanted in cached:
            return 1 + best(at + 1, cached)
        outcomes = [best(at + 1, cached)]
        if len(cached) < slots:
            outcomes.append(best(at + 1, cached | {wanted}))
        outcomes += [best(at + 1, cached - {gone} | {wanted}) for gone in cached]
        return max(outcomes)

    return best(0, frozenset())


@given(traces, st.integers(1, 4))
def test_next_use_has_as_many_hits_as_the_optimum(trace, slots):
    assert simulate(trace, slots, "next-use") == optimum(tuple(trace), slots)


@given(traces, st.integers(1, 4), st.sampled_from(sorted(POLICIES)))
def test_no_policy_beats_the_optimum(trace, slots, policy):
    assert simulate(trace, slots, policy) <= optimum(tuple(trace), slots)


sizes = st.lists(st.tuples(st.integers(1, 100), st.none() | st.integers(0, 50), st.integers(0, 9)), max_size=12)


@given(sizes, st.integers(-5, 400), st.sampled_from(sorted(POLICIES)))
def test_what_goes_is_enough_and_no_more(drawn, needed, policy):
    candidates = [Candidate(size, use, used, used) for size, use, used in drawn]
    arriving = Candidate(needed, 0, math.inf, math.inf)
    victims = choose_victims(candidates, arriving, needed, POLICIES[policy])
    if victims is None:
        assert sum(candidate.bytes for candidate in candidates) < needed
        return
    freed = [candidates[place].bytes for place in victims]
    assert len(set(victims)) == len(victims)
    assert sum(freed) >= needed and sum(freed[:-1]) < max(needed, 1)


def test_the_order_in_which_shards_go():
    shards = {
        "soon": Candidate(1, 2, 10, 1),
        "later": Candidate(1, 9, 40, 2),
        "unknown": Candidate(1, None, 30, 3),
        "unknown and long not used": Candidate(1, None, 20, 4),
    }
    arriving = Candidate(1, 1, 50, 5)

    def order(policy: str) -> list[str]:
        return [list(shards)[place] for place in choose_victims(list(shards.values()), arriving, 4, POLICIES[policy])]

    assert order("next-use") == ["unknown and long not used", "unknown", "later", "soon"]
    assert order("lru") == ["soon", "unknown and long not used", "unknown", "later"]
    assert order("fifo") == ["soon", "later", "unknown", "unknown and long not used"]
    assert order("mru") == ["later", "unknown", "unknown and long not used", "soon"]


def test_what_is_needed_later_than_all_others_does_not_come():
    cached = [Candidate(1, 3, 0, 0), Candidate(1, 5, 0, 0)]
    assert choose_victims(cached, Candidate(1, 6, 1, 1), 1, POLICIES["next-use"]) is None
    assert choose_victims(cached, Candidate(1, None, 1, 1), 1, POLICIES["next-use"]) is None
    assert choose_victims(cached, Candidate(1, 4, 1, 1), 1, POLICIES["next-use"]) == [1]
    assert choose_victims(cached, Candidate(1, 6, 1, 1), 1, POLICIES["lru"]) is not None


@pytest.mark.parametrize(
    ("compressed", "decoded", "capacity", "form"),
    [(50, 90, 100, "decoded"), (50, 110, 100, "compressed"), (100, 90, 50, "decoded")],
)
def test_decoded_where_it_fits_or_is_no_larger(compressed, decoded, capacity, form):
    assert choose_form(compressed, decoded, capacity) == form


def test_preflight_says_the_numbers():
    assert preflight(100 << 20, room_bytes=200 << 20, capacity_bytes=201 << 20) is None
    said = preflight(300 << 20, room_bytes=200 << 20, capacity_bytes=201 << 20)
    assert all(number in said for number in ("300 MiB", "200 MiB", "201 MiB", "100 MiB"))
