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


def planner_real_table() -> str:
    """Each policy's choice over a real link, and how far it is from the best cut that was measured."""
    found = read_result("planner_real")
    grids = [(one, grid) for one in found["networks"] for grid in one["grids"]]
    policies = {**_POLICIES, "none": "images"}
    lines = [
        "| | candidates | best cut | " + " | ".join(policies.values()) + " |",
        "|---|---|---|" + "---|" * len(policies),
    ]
    for network, grid in grids:
        best = next(one for one in grid["measured"] if one["index"] == grid["best"])
        seconds = sorted(best["epoch_s"])[len(best["epoch_s"]) // 2] + best["extraction_s"] / found["epochs"]
        where = f"{network['network']} ({network['weights']} weights), {grid['link_mbit_s']} Mbit/s"
        cells = [_choice(grid["policies"][policy]) for policy in policies]
        lines.append(f"| {where} | {len(grid['measured'])} | {grid['best']}: {seconds:.2f} s | {' | '.join(cells)} |")
    near = [sum(_is_near(grid["policies"][policy]) for _, grid in grids) for policy in policies]
    worst = [max(grid["policies"][policy]["off_best"] for _, grid in grids) for policy in policies]
    summary = [f"{count} of {len(grids)}; {_percent(most)}" for count, most in zip(near, worst, strict=True)]
    lines.append(f"| within 5 %, or the best's own spread; furthest off | | | {' | '.join(summary)} |")
    about = f"{found['images']} photographs, batches of {found['batch_size']}, means of {found['epochs']} epochs"
    return "\n".join([*lines, "", f"{about}; a core for each tier."])


def _is_near(found: dict[str, Any]) -> bool:
    return bool(found["off_best"] <= max(0.05, found["spread_of_best"]))
