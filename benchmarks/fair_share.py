"""What tenants of one machine took, against an even share of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hapistore.extraction.executors.agreement import Agreement

from .environment import spread

if TYPE_CHECKING:
    from .service_tenants import Tenant

PRECISION, SHARED, LOADING = "f32", "shared", "loading {}"
"""Of all features; the dataset that all want; and what takes as long as loading a network does."""


def fair_ends(works: Sequence[float]) -> list[float]:
    """When each ends where all that have not ended share evenly, of the seconds that each one's work takes alone."""
    ends, at, before = [0.0] * len(works), 0.0, 0.0
    order = sorted(range(len(works)), key=lambda index: works[index])
    for place, index in enumerate(order):
        at += (works[index] - before) * (len(works) - place)
        before = works[index]
        ends[index] = at
    return ends


def judged(tenants: Sequence[Tenant], alone: list[dict[str, float]], together: list[dict[str, Any]]) -> dict[str, Any]:
    """What is written of all rounds: what ``measure_alone`` and ``measure_together`` found in each."""
    by_tenant: dict[str, dict[str, list[float]]] = {
        tenant.name: {figure: [] for figure in ("alone_s", "ideal_s", "seconds", "times_ideal", "times_ideal_loaded")}
        for tenant in tenants
    }
    alike = Counter(tenant.network for tenant in tenants)
    agreements: dict[str, list[Agreement]] = {tenant.label: [] for tenant in tenants}
    for one, all_ in zip(alone, together, strict=True):
        loaded = [one[tenant.name] + one[SHARED] / len(tenants) for tenant in tenants]
        loading = [one[LOADING.format(tenant.network)] / alike[tenant.network] for tenant in tenants]
        ideals = fair_ends([own + load for own, load in zip(loaded, loading, strict=True)])
        for tenant, ideal, ideal_loaded in zip(tenants, ideals, fair_ends(loaded), strict=True):
            seconds = all_["seconds"][tenant.name]
            figures = {
                "alone_s": one[tenant.name],
                "ideal_s": ideal,
                "seconds": seconds,
                "times_ideal": seconds / ideal,
                "times_ideal_loaded": seconds / ideal_loaded,
            }
            for figure, value in figures.items():
                by_tenant[tenant.name][figure].append(value)
            agreements[tenant.label] += all_["agreements"][tenant.name]
    return {
        "tenants": [
            {"name": t.name, "network": t.label, **{figure: spread(v) for figure, v in by_tenant[t.name].items()}}
            for t in tenants
        ],
        **{
            f"worst_{figure}": spread(
                [max(round_) for round_ in zip(*(f[figure] for f in by_tenant.values()), strict=True)]
            )
            for figure in ("times_ideal", "times_ideal_loaded")
        },
        "loading_s": {
            tenant.label: spread([one[LOADING.format(tenant.network)] for one in alone]) for tenant in tenants
        },
        "shared_alone_s": spread([one[SHARED] for one in alone]),
        "right": all(one.within(PRECISION) for found in agreements.values() for one in found),
        "off_by": {label: max(one.of_largest for one in found) for label, found in agreements.items()},
        **{
            figure: [all_[figure] for all_ in together]
            for figure in ("extracted", "distinct", "shared_asks", "memory", "most_running", "evicted")
        },
    }


def _worst(by_tenant: dict[str, dict[str, list[float]]], figure: str) -> dict[str, Any]:
    """Spread over the rounds of the tenant who was worst off in each."""
    rounds = zip(*(figures[figure] for figures in by_tenant.values()), strict=True)
    return spread([max(round_) for round_ in rounds])
