"""Plans against HAPI's integer program, solved by HiGHS, and against what any plan must hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from hapistore.errors import UsageError
from hapistore.planning import ExtractionRequest, ThroughputCurve, plan_batches
from hapistore.planning.batch_plan import PAGE_BYTES, PATIENCE
from hapistore.planning.knapsack import fill

MB = 1 << 20
PAGES_PER_MB = MB // PAGE_BYTES


def request(name: str, **more) -> ExtractionRequest:
    given_ = {"tenant": name, "fixed_bytes": 50 * MB, "bytes_per_image": 6 * MB, **more}
    return ExtractionRequest(name=name, **given_)


def curve(knee: int) -> ThroughputCurve:
    return ThroughputCurve().observe(1, 0.1).observe(knee, knee / 100).observe(4 * knee, 4 * knee / 100)


def by_highs(requests: list[ExtractionRequest], budget_bytes: int) -> float | None:
    """The optimum of HAPI's program over these requests, in pages; None where it has no solution."""
    sizes = np.array([r.bytes_per_image for r in requests]) / PAGE_BYTES
    free = (budget_bytes - sum(r.fixed_bytes for r in requests)) / PAGE_BYTES
    found = milp(
        -sizes,
        constraints=LinearConstraint(sizes[None], -np.inf, free),
        bounds=Bounds([r.min_batch for r in requests], [r.max_batch for r in requests]),
        integrality=np.ones(len(requests)),
        options={"mip_rel_gap": 0.0, "time_limit": 20},
    )
    assert found.status in (0, 2), found.message  # solved to the end, or infeasible
    return None if found.status == 2 else -found.fun


def used(plan, requests) -> float:
    """HAPI's objective over what was admitted, in pages."""
    return sum(plan.grants[r.name].batch * r.bytes_per_image / PAGE_BYTES for r in requests if r.name in plan.grants)


instances = st.lists(
    st.tuples(
        st.integers(0, 300),  # fixed, MB
        st.integers(1, 30 * PAGES_PER_MB),  # an image, pages
        st.integers(1, 8),  # smallest batch
        st.integers(0, 256),  # beyond it
    ),
    min_size=1,
    max_size=12,
)


def made(instance) -> list[ExtractionRequest]:
    return [
        request(
            f"r{place:02d}", fixed_bytes=fixed * MB, bytes_per_image=image * PAGE_BYTES,
            min_batch=smallest, max_batch=smallest + more, waiting_since=place,
        )
        for place, (fixed, image, smallest, more) in enumerate(instance)
    ]  # fmt: skip


@settings(max_examples=60)
@given(instances, st.integers(1, 12_000))
def test_aim_memory_is_the_optimum_of_hapis_program(instance, budget):
    """Over the requests that are admitted; all of them wherever HAPI's program has a solution."""
    requests, budget = made(instance), budget * MB
    plan = plan_batches(requests, budget, aim="memory")
    if by_highs(requests, budget) is not None:
        assert not plan.deferred and not plan.refused
    admitted = [r for r in requests if r.name in plan.grants]
    if admitted:
        assert used(plan, admitted) >= by_highs(admitted, budget) - 1e-3
    assert plan.bytes <= budget


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), min_size=1, max_size=5),
    st.integers(0, 500),
)
def test_filling_is_exact(pieces, capacity):
    """Against every combination there is."""
    sizes, limits = [size for size, _ in pieces], [limit for _, limit in pieces]
    counts = fill(sizes, limits, capacity)
    assert all(0 <= count <= limit for count, limit in zip(counts, limits, strict=True))
    sums = (
        sum(size * count for size, count in zip(sizes, combination, strict=True))
        for combination in itertools.product(*(range(limit + 1) for limit in limits))
    )
    best = max(total for total in sums if total <= capacity)
    assert sum(size * count for size, count in zip(sizes, counts, strict=True)) == best


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(100, 400), st.integers(0, 20)), min_size=3, max_size=4),
    st.integers(0, 15_000),
)
def test_filling_is_exact_where_the_end_alone_does_not_decide(pieces, capacity):
    """Few sizes, many pieces: the last few pieces seldom fill the capacity to the last unit."""
    sums = {0}
    for size, limit in pieces:
        sums = {
            total + count * size for total in sums for count in range(limit + 1) if total + count * size <= capacity
        }
    counts = fill(*map(list, zip(*pieces, strict=True)), capacity)
    assert all(0 <= count <= limit for count, (_, limit) in zip(counts, pieces, strict=True))
    assert sum(size * count for (size, _), count in zip(pieces, counts, strict=True)) == max(sums)


@pytest.mark.parametrize(
    ("sizes", "limits", "capacity", "best"),
    [
        ([7_000, 11_000], [200, 200], 999_999, 999_000),  # a common divisor
        ([9_998, 10_000, 9_998], [100, 1, 100], 1_000_007, 1_000_000 - 198),
        ([5, 6_000], [3, 100], 300_013, 300_010),
        ([3, 500_000], [1, 9], 499_999, 3),
        ([10], [0], 100, 0),
    ],
)
def test_filling_where_the_last_unit_cannot_be_reached(sizes, limits, capacity, best):
    counts = fill(sizes, limits, capacity)
    assert sum(size * count for size, count in zip(sizes, counts, strict=True)) == best


@settings(max_examples=200)
@given(instances, st.integers(0, 12_000), st.sampled_from(["knee", "memory"]), st.data())
def test_any_plan(instance, budget, aim, data):
    requests = [
        ExtractionRequest(
            **{
                **vars(r),
                "bytes_per_image": r.bytes_per_image + data.draw(st.floats(0, 5000)),
                "weight": data.draw(st.floats(0.01, 100)),
                "tenant": data.draw(st.sampled_from("abc")),
                "curve": data.draw(st.none() | st.integers(1, 64).map(curve)),
            }
        )
        for r in made(instance)
    ]
    budget *= MB
    plan = plan_batches(requests, budget, aim=aim)
    names = {r.name for r in requests}
    assert sorted([*plan.grants, *plan.deferred, *plan.refused]) == sorted(names)
    by_name = {r.name: r for r in requests}
    for name, grant in plan.grants.items():
        r = by_name[name]
        assert r.min_batch <= grant.batch <= r.most_useful(aim)
        assert r.bytes_at(grant.batch) <= grant.bytes < r.bytes_at(grant.batch) + 1
    assert plan.bytes <= budget
    for name in plan.refused:
        assert by_name[name].bytes_at(by_name[name].min_batch) > budget - PAGE_BYTES
    assert plan == plan_batches(reversed(requests), budget, aim=aim)  # the order of asking decides nothing


def test_aim_knee_leaves_memory_that_brings_nothing_to_others():
    waiting = [request(name, curve=curve(16)) for name in "abcd"]
    budget = 4 * (50 + 16 * 6) * MB
    plan = plan_batches(waiting, budget)
    assert [grant.batch for grant in plan.grants.values()] == [16] * 4
    assert plan_batches(waiting, 10 * budget).bytes == plan.bytes
    assert plan_batches(waiting[:1], budget, aim="memory").grants["a"].batch == 89


def test_equal_requests_get_equal_batches():
    plan = plan_batches([request(name) for name in "abcd"], 1000 * MB)
    assert {grant.batch for grant in plan.grants.values()} <= {33, 34}
    assert plan.bytes > (1000 - 6) * MB


def test_what_never_fits_is_refused_with_the_numbers():
    plan = plan_batches([request("huge", tenant="ann", fixed_bytes=900 * MB), request("fits")], 600 * MB)
    assert list(plan.grants) == ["fits"]
    assert plan.refused["huge"] == (
        "request huge of ann takes 906 MiB at its smallest extraction batch of 1, and the memory budget is 600 MiB; "
        "give --memory of at least 906 MiB, or cut earlier"
    )


def test_smaller_ones_go_before_a_large_one_only_so_often():
    running = request("running", fixed_bytes=500 * MB, running=True)
    small = [request(f"s{n:02d}", fixed_bytes=1 * MB, bytes_per_image=MB, turn=2.0, waiting_since=n) for n in range(20)]
    large = request("large", fixed_bytes=800 * MB, turn=1.0)
    plan = plan_batches([running, large, *small], 1000 * MB)
    assert set(plan.grants) == {"running", *(r.name for r in small[:PATIENCE])}
    assert plan.passed["large"] == PATIENCE
    again = request("large", fixed_bytes=800 * MB, turn=1.0, passed_over=PATIENCE)
    assert set(plan_batches([running, again, *small], 1000 * MB).grants) == {"running"}


def test_among_equal_turns_loaded_prefixes_go_first():
    waiting = [request("a", turn=0.0), request("b", turn=0.0, loaded=True)]
    assert list(plan_batches(waiting, 60 * MB).grants) == ["b"]


def test_weights_share_turns():
    waiting = [
        request(f"{tenant}{n}", tenant=tenant, weight=weight, waiting_since=n, max_batch=1)
        for tenant, weight in (("a", 3.0), ("b", 1.0))
        for n in range(12)
    ]
    plan = plan_batches(waiting, 8 * 56 * MB)
    assert sum(name.startswith("a") for name in plan.grants) == 6


@pytest.mark.parametrize("more", [{"min_batch": 0}, {"max_batch": 0}, {"weight": 0.0}, {"bytes_per_image": -1.0}])
def test_requests_that_make_no_sense_are_refused(more):
    with pytest.raises(UsageError, match="request r"):
        request("r", **more)


def test_a_name_that_comes_twice_and_an_unknown_aim_are_refused():
    with pytest.raises(UsageError, match="request r is there twice"):
        plan_batches([request("r"), request("r")], MB)
    with pytest.raises(UsageError, match="aim 'fast' is none of knee, memory"):
        plan_batches([], MB, aim="fast")
