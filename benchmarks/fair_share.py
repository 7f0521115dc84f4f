"""What tenants of one machine took, against an even share of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hapistore.extraction.executors.agreement import Agreement

from .environment import spread

if TYPE_CHECKING:
    from .service_tenants import Tenant

PRECISION, SHARED = "f32", "shared"
"""Of all features; and the dataset that all want."""


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
        tenant.name: {"alone_s": [], "ideal_s": [], "seconds": [], "times_ideal": []} for tenant in tenants
    }
    worst: list[float] = []
    agreements: dict[str, list[Agreement]] = {tenant.label: [] for tenant in tenants}
    for one, all_ in zip(alone, together, strict=True):
        ideals = fair_ends([one[tenant.name] + one[SHARED] / len(tenants) for tenant in tenants])
        for tenant, ideal in zip(tenants, ideals, strict=True):
            seconds = all_["seconds"][tenant.name]
            figures = {
                "alone_s": one[tenant.name],
                "ideal_s": ideal,
                "seconds": seconds,
                "times_ideal": seconds / ideal,
            }
            for figure, value in figures.items():
                by_tenant[tenant.name][figure].append(value)
            agreements[tenant.label] += all_["agreements"][tenant.name]
        worst.append(max(all_["seconds"][t.name] / ideal for t, ideal in zip(tenants, ideals, strict=True)))
    return {
        "tenants": [
            {"name": t.name, "network": t.label, **{figure: spread(v) for figure, v in by_tenant[t.name].items()}}
            for t in tenants
        ],
        "worst_times_ideal": spread(worst),
        "shared_alone_s": spread([one[SHARED] for one in alone]),
        "right": all(one.within(PRECISION) for found in agreements.values() for one in found),
        "off_by": {label: max(one.of_largest for one in found) for label, found in agreements.items()},
        **{
            figure: [all_[figure] for all_ in together]
            for figure in ("extracted", "distinct", "shared_asks", "memory", "most_running")
        },
    }
