"""Which waiting requests run, and with what extraction batches: ``plan_batches``.

HAPI (arXiv 2210.08650, section 5.5) maximises ``sum(b_r * m_r)`` subject to ``sum(fixed_r + b_r * m_r) <= M`` and
bounds on each b_r. All requests at hand are in its program; where they don't fit at their smallest batches, it has no
solution and requests are put off until it has. Here admission comes first: in fair order, each that fits at its
smallest batch beside those before it. Over what is admitted, aim ``memory`` is HAPI's program, solved exactly in
pages of 4 KiB (sizes rounded up, the budget down, so never beyond it). Aim ``knee`` is the same with each batch
bounded by the knee of its throughput curve: memory that would bring nothing stays free for requests to come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..errors import UsageError
from ..units import format_bytes
from .fairness import FairState
from .knapsack import fill
from .requests import BatchPlan, ExtractionRequest, Grant

AIMS = ("knee", "memory")
PAGE_BYTES = 4096
# So many requests may go before one that does not fit yet; then all behind it wait for it.
PATIENCE = 8


def plan_batches(requests: Iterable[ExtractionRequest], budget_bytes: int, *, aim: str = "knee") -> BatchPlan:
    """Admit as many requests as fit, in fair order, and size their extraction batches.

    Requests that run stay, earlier turns first. A smaller request may go before one that does not fit, but `PATIENCE`
    times at most.

    Args:
        requests: names all unlike.
        aim: ``knee``: batches up to where throughput levels off; ``memory``: as much memory as can be used.

    Raises:
        UsageError: there is no such aim, or a name comes twice.
    """
    if aim not in AIMS:
        raise UsageError(f"aim {aim!r} is none of {', '.join(AIMS)}")
    ordered = fair_order(requests)
    pages = max(0, budget_bytes) // PAGE_BYTES
    refused = {r.name: _reason(r, budget_bytes) for r in ordered if _floor_pages(r) > pages}
    admitted, deferred, passed = _admit([r for r in ordered if r.name not in refused], pages)
    return BatchPlan(
        grants=_grants(admitted, pages, aim),
        deferred=tuple(r.name for r in deferred),
        passed=passed,
        refused=refused,
    )


def fair_order(requests: Iterable[ExtractionRequest]) -> list[ExtractionRequest]:
    """Those that run first, then by turn; among equal turns loaded ones, then the longest waiting.

    Raises:
        UsageError: a name comes twice.
    """
    state = FairState()
    turns: dict[str, float] = {}
    known = list(requests)
    for request in sorted(known, key=lambda r: (r.waiting_since, r.name)):
        if request.name in turns:
            raise UsageError(f"request {request.name} is there twice")
        turns[request.name] = request.turn if request.turn is not None else 0.0
        if request.turn is None:
            state, turns[request.name] = state.arrive(request.tenant, weight=request.weight, cost=1)
    return sorted(known, key=lambda r: (not r.running, turns[r.name], not r.loaded, r.waiting_since, r.name))


def _admit(
    ordered: Sequence[ExtractionRequest], pages: int
) -> tuple[list[ExtractionRequest], list[ExtractionRequest], dict[str, int]]:
    """Admitted and deferred requests, and how many went before each deferred one."""
    admitted: list[ExtractionRequest] = []
    deferred: list[ExtractionRequest] = []
    passed: dict[str, int] = {}
    free = pages
    for request in ordered:
        floor = _floor_pages(request)
        may_pass = all(r.passed_over + passed[r.name] < PATIENCE for r in deferred)
        if floor > free or not (may_pass or request.running):
            deferred.append(request)
            passed[request.name] = 0
            continue
        admitted.append(request)
        free -= floor
        if not request.running:
            for waiting in deferred:
                passed[waiting.name] += 1
    return admitted, deferred, passed


def _grants(admitted: Sequence[ExtractionRequest], pages: int, aim: str) -> dict[str, Grant]:
    """Batches over their smallest ones, filling what is free."""
    free = pages - sum(map(_floor_pages, admitted))
    more = [r.most_useful(aim) - r.min_batch for r in admitted]
    # An image that takes nothing is given for nothing.
    growing = [place for place, r in enumerate(admitted) if r.bytes_per_image > 0 and more[place]]
    counts = fill(
        [math.ceil(admitted[place].bytes_per_image / PAGE_BYTES) for place in growing],
        [more[place] for place in growing],
        free,
    )
    for place, count in zip(growing, counts, strict=True):
        more[place] = count
    batches = [r.min_batch + extra for r, extra in zip(admitted, more, strict=True)]
    return {
        r.name: Grant(batch=batch, bytes=math.ceil(r.bytes_at(batch)))
        for r, batch in zip(admitted, batches, strict=True)
    }


def _floor_pages(request: ExtractionRequest) -> int:
    return math.ceil(request.bytes_at(request.min_batch) / PAGE_BYTES)


def _reason(request: ExtractionRequest, budget_bytes: int) -> str:
    smallest = request.bytes_at(request.min_batch)
    return (
        f"request {request.name} of {request.tenant} takes {format_bytes(smallest)} at its smallest extraction batch "
        f"of {request.min_batch}, and the memory budget is {format_bytes(budget_bytes)}; give --memory of at least "
        f"{format_bytes(smallest)}, or cut earlier"
    )
