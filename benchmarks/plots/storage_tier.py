"""The storage tier: cuts, tenants, adapting the extraction batch; and what codecs cost in accuracy."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from ..environment import read_result
from ..paper.published import ONLY_ADAPTED_FROM
from .style import SYSTEMS, figure, plain_ticks, whiskers


def by_tenants(folder: Path) -> None:
    """Seconds until the last of so many tenants has ended."""
    units = read_result("paper_tenants")["units"]
    counts = sorted(map(int, units))
    with figure(folder, "paper_tenants") as axes:
        for system in ("baseline", "all_in_cos", "hapi", "stored"):
            label, colour = SYSTEMS[system]
            found = [units[str(count)]["systems"][system]["first_s"] for count in counts]
            for count, one in zip(counts, found, strict=True):
                axes.errorbar(count, one["median"], whiskers(one), color=colour, capsize=2)
            axes.plot(counts, [one["median"] for one in found], color=colour, marker="o", label=label.partition(":")[0])
        axes.set_xticks(counts)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("tenants at once, each an epoch of AlexNet on the same photographs")
        axes.set_ylabel("seconds until the last has ended")
        axes.set_title("Tenants")
        axes.legend(fontsize=8)


def by_adaptation(folder: Path) -> None:
    """Images a second by training batch, with the extraction batch adapted and without; crosses where it was killed."""
    units = read_result("paper_adaptation")["units"]
    batches = sorted(map(int, units))
    lines = {"adapted": ("adapted", "#0f766e"), "fixed": ("the whole training batch at once", "#6b7280")}
    with figure(folder, "paper_adaptation") as axes:
        for way, (label, colour) in lines.items():
            lived = [batch for batch in batches if not any(one["killed"] for one in units[str(batch)][way])]
            rates = [median(one["images_per_s"] for one in units[str(batch)][way]) for batch in lived]
            axes.plot(lived, rates, color=colour, marker="o", label=label)
            killed = [batch for batch in batches if batch not in lived]
            axes.plot(
                killed, [0.0] * len(killed), color=colour, marker="x", linestyle="", markersize=9, clip_on=False,
                label=f"{label}: killed for its memory" if killed else None,
            )  # fmt: skip
        axes.axvline(ONLY_ADAPTED_FROM, color="#2563eb", linestyle="--", linewidth=1)
        axes.text(ONLY_ADAPTED_FROM, 3, "the paper: only adapted from here ", color="#2563eb", fontsize=8, ha="right")
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, [float(batch) for batch in batches])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("training batch, images")
        axes.set_ylabel("images a second")
        limit = next(iter(units.values()))["limit_bytes"] / 2**30
        axes.set_title(f"A storage tier with {limit:g} GiB: AlexNet")
        axes.legend(fontsize=8)


def by_cut(folder: Path) -> None:
    """How far each policy's cut is from the best one measured."""
    result = read_result("planner_real")
    policies = {
        "cost": ("hapistore's planner", "#0f766e"),
        "hapi": ("HAPI's rule", "#2563eb"),
        "none": ("images", "#6b7280"),
    }
    grids = [(one["network"], grid) for one in result["networks"] for grid in one["grids"]]
    with figure(folder, "paper_cuts", (9.0, 3.8)) as axes:
        for place, (policy, (label, colour)) in enumerate(policies.items()):
            at = [number + (place - 1) * 0.27 for number in range(len(grids))]
            axes.bar(
                at, [1 + grid["policies"][policy]["off_best"] for _, grid in grids], 0.25, color=colour, label=label
            )
        names = [f"{name}\n{grid['link_mbit_s']:,}" for name, grid in grids]
        axes.set_xticks(range(len(grids)), names, fontsize=7, rotation=45, ha="right")
        axes.set_ylim(bottom=0)
        axes.grid(axis="x", visible=False)
        axes.axhline(1, color="#111827", linewidth=1)
        axes.set_xlabel("network and link, Mbit/s")
        axes.set_ylabel("times the best cut's epoch")
        axes.set_title("The cut that is chosen, against the best of all that were measured")
        axes.legend(fontsize=8)


def by_codec(folder: Path) -> None:
    """Accuracy of a linear probe against bytes an image, by codec."""
    probes, sizes = read_result("probe")["codecs"], read_result("codecs")["sets"]["pooled"]["codecs"]
    with figure(folder, "paper_accuracy") as axes:
        for codec, found in probes.items():
            if codec not in sizes:
                continue
            size, lost = sizes[codec]["bytes_per_row"], -found["points_below_f32"]
            axes.errorbar(size, lost, found["standard_error_points"], color="#0f766e", marker="o", capsize=2)
            axes.annotate(codec, (size, lost), xytext=(6, 6), textcoords="offset points", fontsize=8)
        axes.axhline(0, color="#111827", linewidth=1)
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, [200.0, 500.0, 1000.0, 2000.0, 5000.0])
        axes.set_xlabel("bytes an image")
        axes.set_ylabel("points of accuracy against float32")
        axes.set_title("What a codec costs: ELPV, EfficientNet-Lite0, linear probe")
