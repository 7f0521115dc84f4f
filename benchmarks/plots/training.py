"""Run time and bytes: by network, by link, by training batch, and over twenty epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.patches import Patch

from ..environment import read_result
from ..paper.published import RUN_TIME_TIMES
from ..paper.ratios import ALL_SYSTEMS_MBIT_S, EPOCHS, many_epochs_times, one_epoch_times
from ..paper.results import STORE, networks
from .style import SYSTEMS, figure, plain_ticks, whiskers


def _networks() -> dict[str, Any]:
    """Networks, by name; on the store of all experiments."""
    return {unit.split()[0]: found for unit, found in networks().items() if unit.split()[1] == STORE}


def by_network(folder: Path) -> None:
    """Milliseconds an image of one epoch, every system."""
    title = f"One epoch over {ALL_SYSTEMS_MBIT_S / 1000:g} Gbit/s"
    with _bars(folder, "paper_networks", title, "milliseconds an image") as (draw, units):
        for name, unit in units.items():
            for system, found in unit["links"][str(ALL_SYSTEMS_MBIT_S)].items():
                draw(name, system, 1000 * found["first_s"]["median"] / unit["images"])
                if system == "stored":
                    draw(name, "later", 1000 * found["later_s"]["median"] / unit["images"])


def by_bytes(folder: Path) -> None:
    """Bytes an image in an epoch, every system; where everything is on the storage tier there are none."""
    with _bars(folder, "paper_bytes", "What crosses the link in an epoch", "bytes an image") as (draw, units):
        for name, unit in units.items():
            for system, found in unit["links"][str(ALL_SYSTEMS_MBIT_S)].items():
                if size := found["bytes_per_image"]["median"]:
                    draw(name, system, size)


@contextmanager
def _bars(folder: Path, name: str, title: str, unit: str) -> Iterator[tuple[Callable[[str, str, float], None], Any]]:
    """Horizontal bars by network and system; yields what draws one, and the networks."""
    units = _networks()
    rows, places = list(units), list(SYSTEMS)
    with figure(folder, name, (8.5, 0.9 + 0.7 * len(units))) as axes:
        height = 0.8 / len(places)

        def draw(network: str, system: str, width: float) -> None:
            if system in SYSTEMS:
                at = rows.index(network) + (places.index(system) - len(places) / 2 + 0.5) * height
                axes.barh(at, width, height * 0.9, color=SYSTEMS[system][1])

        yield draw, units
        axes.set_yticks(range(len(rows)), rows)
        axes.invert_yaxis()
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)
        axes.set_xlabel(unit)
        axes.set_title(title)
        axes.grid(axis="y", visible=False)
        axes.legend(
            handles=[Patch(color=colour, label=label) for label, colour in SYSTEMS.values()],
            loc="upper left", bbox_to_anchor=(1, 1),
        )  # fmt: skip


def by_link(folder: Path) -> None:
    """How many times as fast as BASELINE, by link: one epoch, and twenty."""
    units = {name: unit for name, unit in _networks().items() if len(unit["links"]) > 1}
    links = sorted({int(link) for unit in units.values() for link in unit["links"]})
    with figure(folder, "paper_links", (9.0, 3.8), ncols=2) as (once, often):
        for name, unit in units.items():
            found = {link: unit["links"][str(link)] for link in links if str(link) in unit["links"]}
            once.plot(list(found), [one_epoch_times(one) for one in found.values()], marker="o", label=name)
            often.plot(list(found), [many_epochs_times(one) for one in found.values()], marker="o", label=name)
        for axes, title in ((once, "One epoch, as in the paper"), (often, f"{EPOCHS} epochs")):
            axes.set_xscale("log")
            plain_ticks(axes.xaxis, [float(link) for link in links])
            axes.set_xlabel("link, Mbit/s")
            axes.axhline(1, color="#6b7280", linewidth=1)
            axes.set_title(title)
        once.set_ylabel("times as fast as BASELINE")
        often.axhline(RUN_TIME_TIMES, color="#2563eb", linestyle="--", linewidth=1)
        label = {"color": "#2563eb", "fontsize": 8, "ha": "right", "va": "top"}
        often.text(links[-1], 0.98 * RUN_TIME_TIMES, "the paper's best", label)
        for axes in (once, often):
            axes.set_ylim(0, 1.1 * axes.dataLim.y1)
        often.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def by_batch(folder: Path) -> None:
    """Seconds an image by training batch."""
    units = read_result("paper_batches")["units"]
    batches = sorted(map(int, units))
    with figure(folder, "paper_batches") as axes:
        for system in ("baseline", "hapi", "stored"):
            label, colour = SYSTEMS[system]
            found = [(units[str(batch)]["images"], units[str(batch)]["systems"][system]) for batch in batches]
            for batch, (images, one) in zip(batches, found, strict=True):
                scaled = {key: 1000 * value / images for key, value in one["first_s"].items() if key != "runs"}
                axes.errorbar(batch, scaled["median"], whiskers(scaled), color=colour, capsize=2)
            axes.plot(
                batches,
                [1000 * one["first_s"]["median"] / n for n, one in found],
                color=colour,
                marker="o",
                label=label,
            )
        later = [
            1000 * units[str(b)]["systems"]["stored"]["later_s"]["median"] / units[str(b)]["images"] for b in batches
        ]
        label, colour = SYSTEMS["later"]
        axes.plot(batches, later, color=colour, marker="o", label=label)
        _batch_axis(axes, batches)
        axes.set_ylabel("milliseconds an image")
        axes.set_title("An epoch by training batch: AlexNet, 1 Gbit/s")


def _batch_axis(axes: Any, batches: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_ticks(axes.xaxis, [float(batch) for batch in batches])
    plain_ticks(axes.yaxis)
    axes.set_xlabel("training batch, images")
    axes.legend(fontsize=8)


def by_memory(folder: Path) -> None:
    """Peak memory of both tiers by training batch."""
    units = read_result("paper_batches")["units"]
    batches = sorted(map(int, units))
    with figure(folder, "paper_memory", (8.5, 3.6), ncols=2, sharey=True) as both:
        for axes, tier in zip(both, ("compute", "storage"), strict=True):
            for system in ("baseline", "hapi", "stored"):
                label, colour = SYSTEMS[system]
                peaks = [units[str(b)]["systems"][system][f"{tier}_bytes"]["median"] / 2**30 for b in batches]
                axes.plot(batches, peaks, color=colour, marker="o", label=label.partition(":")[0])
            _batch_axis(axes, batches)
            axes.set_yscale("linear")
            axes.set_ylim(bottom=0)
            axes.set_title(f"Peak memory, {tier} tier")
        both[0].set_ylabel("GiB")


def over_epochs(folder: Path) -> None:
    """Seconds since the beginning, by epoch, on ELPV."""
    units = read_result("paper_epochs")["units"]
    link, unit = next((name, one) for name, one in units.items() if name.startswith("1000"))
    lines = {
        "baseline": ("BASELINE, eager float32", "#6b7280", "-"),
        "baseline fast": ("BASELINE, hapistore's executor", "#6b7280", "--"),
        "script": (".npy script, eager float32", "#d97706", "-"),
        "script fast": (".npy script, Inductor", "#d97706", "--"),
        "stored": ("hapistore: storage tier extracts", "#0f766e", "-"),
        "together": ("hapistore: both tiers extract", "#0f766e", "--"),
    }
    with figure(folder, "paper_epochs") as axes:
        for system, (label, colour, style) in lines.items():
            one, times = unit["systems"][system], unit["one_of"][system]
            first = times * one["first_s"]["median"]
            later = times * one.get("later_s", one["first_s"])["median"]
            numbers = range(1, unit["epochs"] + 1)
            axes.plot(numbers, [first + later * (n - 1) for n in numbers], color=colour, linestyle=style, label=label)
        axes.set_yscale("log")
        plain_ticks(axes.yaxis)
        axes.set_xticks([1, 5, 10, 15, 20])
        axes.set_xlabel("epochs")
        axes.set_ylabel("seconds in total")
        axes.set_title(f"{unit['images']:,} photographs, EfficientNet-Lite0, {link}")
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
