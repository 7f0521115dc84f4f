"""HAPI's evaluation, measured here: training batches, memory, tenants; the paper's own figure beside it."""

from __future__ import annotations

from statistics import median
from typing import Any

from ..environment import read_result
from ..paper import published
from ..paper.ratios import EPOCHS, many_epochs_times, one_epoch_times
from .paper import DASH, SYSTEMS, each, machine, table
from .text import range_text

_TENANTS = ("baseline", "all_in_cos", "hapi", "stored")


def batches_table() -> str:
    """Milliseconds an image and peaks of memory, by training batch."""
    result = read_result("paper_batches")
    rows = []
    for batch, unit in sorted(result["units"].items(), key=lambda item: int(item[0])):
        for name in ("baseline", "hapi", "stored"):
            one = unit["systems"][name]
            later = each(one["later_s"], unit["images"]) if "later_s" in one else DASH
            memory = [f"{one[f'{tier}_bytes']['median'] / 2**30:.2f}" for tier in ("compute", "storage")]
            rows.append([f"{int(batch):,}", SYSTEMS[name], each(one["first_s"], unit["images"]), later, *memory])
    head = ["training batch", "", "ms an image", "later epochs", "compute tier, GiB", "storage tier, GiB"]
    return "\n".join([
        *table(head, rows),
        "",
        "AlexNet over 1 Gbit/s; peaks count libraries and weights: of the process that trains, and of the service with "
        f"its own. Medians (lowest–highest) of {result['settings']['rounds']} rounds. " + machine(result),
    ])  # fmt: skip


def adaptation_table() -> str:
    """Images a second with the extraction batch adapted and without, in little memory."""
    result = read_result("paper_adaptation")
    rows = []
    for batch, unit in sorted(result["units"].items(), key=lambda item: int(item[0])):
        cells = [_lived(unit["fixed"]), _lived(unit["adapted"])]
        rows.append([f"{int(batch):,}", *cells])
    limit = next(iter(result["units"].values()))["limit_bytes"] / 2**30
    return "\n".join([
        *table(["training batch", "all of it at once", "adapted"], rows),
        "",
        f"AlexNet's prefix by OpenVINO in a control group of {limit:g} GiB; images a second (extraction batch). The "
        f"paper: batches from {published.ONLY_ADAPTED_FROM:,} on end only when adapted. " + machine(result),
    ])  # fmt: skip


def _lived(runs: list[dict[str, Any]]) -> str:
    if any(run["killed"] for run in runs):
        return f"killed for its memory ({sum(run['killed'] for run in runs)} of {len(runs)} runs)"
    return f"{median(run['images_per_s'] for run in runs):.0f} ({max(run['batch'] for run in runs):,})"


def weak_table() -> str:
    """What a storage tier with little of its core makes of a plan, and of the freeze point."""
    result = read_result("paper_weak")
    rows = []
    for share, unit in sorted(result["units"].items(), key=lambda item: -float(item[0])):
        systems, plans = unit["systems"], unit["plans"]
        first = {name: systems[name]["first_s"]["median"] for name in systems}
        rows.append([
            f"{float(share):g}",
            each(systems["baseline"]["first_s"], unit["images"]),
            f"{first['baseline'] / first['freeze']:.2f}",
            f"{one_epoch_times(systems):.2f} ({_cut(plans['once'])})",
            f"{many_epochs_times(systems):.1f} ({_cut(plans['often'])})",
        ])  # fmt: skip
    head = [
        "share of its core", "BASELINE, ms an image", "1 epoch, cut at the freeze point", "1 epoch, planned",
        f"{EPOCHS} epochs, planned",
    ]  # fmt: skip
    return "\n".join([
        *table(head, rows),
        "",
        "AlexNet over 1 Gbit/s; times as fast as BASELINE (where it is cut). The storage tier, its object store too, "
        f"has so much of a core, by its control group. The paper, which cuts by bytes alone: VGG-19 "
        f"{published.VGG19_TIMES}. Medians of {result['settings']['rounds']} rounds. " + machine(result),
    ])  # fmt: skip


def _cut(plan: dict[str, Any]) -> str:
    return f"cut {plan['index']}, {plan['cut']}" if plan["index"] else "images are shipped"


def tenants_table() -> str:
    """Seconds until the last of so many tenants has ended."""
    result = read_result("paper_tenants")
    rows = []
    for count, unit in sorted(result["units"].items(), key=lambda item: int(item[0])):
        systems = unit["systems"]
        cells = [range_text(systems[name]["first_s"], 1) for name in _TENANTS]
        times = [
            f"{systems[name]['first_s']['median'] / systems['stored']['first_s']['median']:.1f}"
            for name in ("baseline", "hapi")
        ]
        rows.append([count, *cells, *times])
    head = ["tenants", "BASELINE, s", "ALL_IN_COS, s", "HAPI, s", "stored, s", "times BASELINE", "times HAPI"]
    images = next(iter(result["units"].values()))["images_each"]
    return "\n".join([
        *table(head, rows),
        "",
        f"Each trains an epoch of AlexNet on the same {images} photographs over 1 Gbit/s, all at once. The paper: up "
        f"to {published.TENANTS_TIMES} times with several tenants; past {published.TENANTS_LOST_PAST} jobs were lost "
        f"without adaptation. Medians (lowest–highest) of {result['settings']['rounds']} rounds. " + machine(result),
    ])  # fmt: skip
