"""Where to cut."""

from __future__ import annotations

from typing import Any

from ..environment import read_result

_POLICIES = {"cost": "hapistore", "hapi": "HAPI's rule", "freeze": "freeze point", "smallest": "smallest output"}


def planner_oracle_table() -> str:
    """Each policy's choice on HAPI's logs, and how far it is from the best cut."""
    grids = read_result("planner_oracle")["grids"]
    lines = [
        "| | best cut | " + " | ".join(_POLICIES.values()) + " |",
        "|---|---|" + "---|" * len(_POLICIES),
    ]
    for grid in grids:
        best = grid["best"]
        cells = [_choice(grid["policies"][policy]) for policy in _POLICIES]
        where = f"{grid['model']}, {grid['link_mbps'] / 1000:.2g} Gbit/s, {grid['cuts']} cuts"
        lines.append(f"| {where} | {best['index']}: {best['measured_s']:.1f} s | {' | '.join(cells)} |")
    near = [sum(grid["policies"][policy]["off_best"] <= 0.05 for grid in grids) for policy in _POLICIES]
    worst = [max(grid["policies"][policy]["off_best"] for grid in grids) for policy in _POLICIES]
    summary = [f"{count} of {len(grids)}; {_percent(most)}" for count, most in zip(near, worst, strict=True)]
    return "\n".join([*lines, f"| within 5 %; furthest off | | {' | '.join(summary)} |"])


def _choice(found: dict[str, Any]) -> str:
    return f"{found['index']}: {_percent(found['off_best'])}"


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %"
