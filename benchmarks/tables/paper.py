"""HAPI's evaluation, measured here: run time and bytes; the paper's own figure beside it where it is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..environment import read_result
from ..paper import published
from ..paper.ratios import ALL_SYSTEMS_MBIT_S, EPOCHS, OURS, many_epochs_times, one_epoch_times
from ..paper.results import networks
from .text import range_text

SYSTEMS = {
    "baseline": "BASELINE",
    "all_in_cos": "ALL_IN_COS",
    "script": "script (.npy)",
    "hapi": "HAPI",
    "streaming": "streaming",
    "stored": "stored, first",
}
DASH = "–"


def machine(result: dict[str, Any]) -> str:
    """Where it was measured, in a sentence."""
    where = result["environment"]
    versions = where["versions"]
    units = "with" if where["bf16_units"] else "without"
    return (
        f"A core of an {where['cpu']} {units} bfloat16 units for each tier; hapistore {versions['hapistore']}, torch "
        f"{versions['torch']}, openvino {versions['openvino']}."
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines."""
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]


def _label(unit: str, found: dict[str, Any]) -> str:
    """A network on a store, and what is unusual there."""
    name, store = unit.split()
    return f"{name}, {store}{'' if store != 'swift' or found['memcached'] else ', no memcached'}"


def each(figure: dict[str, float], images: int) -> str:
    """Seconds of an epoch as milliseconds an image."""
    scaled = {key: 1000 * value / images for key, value in figure.items() if key != "runs"}
    return range_text(scaled, 1 if scaled["median"] >= 1 else 2)


def networks_table() -> str:
    """Milliseconds an image of one epoch, by network and system, and how many times as fast as BASELINE."""
    result = read_result("paper_models")
    rows = []
    for unit, found in networks().items():
        systems = found["links"].get(str(ALL_SYSTEMS_MBIT_S))
        if systems is None:
            continue
        cells = [each(systems[name]["first_s"], found["images"]) if name in systems else DASH for name in SYSTEMS]
        later = each(systems["stored"]["later_s"], found["images"])
        times = f"{one_epoch_times(systems):.2f}", f"{many_epochs_times(systems):.1f}"
        rows.append([_label(unit, found), *cells, later, *times])
    head = ["ms an image", *SYSTEMS.values(), "stored, later", "1 epoch, times", f"{EPOCHS} epochs, times"]
    return "\n".join([
        *table(head, rows),
        "",
        f"Over {ALL_SYSTEMS_MBIT_S / 1000:g} Gbit/s, medians (lowest–highest) of {_rounds(result)} rounds. "
        f"Times: as fast as BASELINE, over one epoch with the cut planned for one, over {EPOCHS} with the one planned "
        f"for {EPOCHS}. The paper: up to {published.RUN_TIME_TIMES:g} times, {published.RUN_TIME_TIMES_LATER:g} in its "
        f"later version; VGG-19 {published.VGG19_TIMES}. {machine(result)}",
    ])  # fmt: skip


def links_table() -> str:
    """How many times as fast as BASELINE, by network and link: one epoch, and twenty."""
    units = networks()
    links = sorted({int(link) for unit in units.values() for link in unit["links"]})
    rows = []
    for unit, found in units.items():
        rows.append([_label(unit, found), *(_over_link(found, link) for link in links)])
    return "\n".join([
        *table(["1 epoch / 20 epochs, times BASELINE (cut)", *(f"{link:,} Mbit/s" for link in links)], rows),
        "",
        "In brackets the cuts planned for one epoch and for twenty; 0: images are shipped; *: not planned, the freeze "
        f"point. {machine(read_result('paper_links'))}",
    ])  # fmt: skip


def _over_link(found: dict[str, Any], link: int) -> str:
    """Both ratios, and the cuts that they were measured with."""
    one = found["links"].get(str(link))
    if one is None:
        return DASH
    once, often = (found["chosen"][str(link)][use] for use in ("once", "often"))
    cuts = f"cut {once}" if once == often else f"cuts {once}, {often}"
    cuts += "" if f"once {link}" in found.get("plans", {}) else "*"
    return f"{one_epoch_times(one):.2f} / {many_epochs_times(one):.1f} ({cuts})"


def _rounds(result: dict[str, Any]) -> int:
    return int(result["settings"]["rounds"])


def bytes_table() -> str:
    """Bytes an image in an epoch, and how many times fewer than BASELINE's."""
    result = read_result("paper_models")
    names = [name for name in SYSTEMS if name != "all_in_cos"]
    rows = []
    for unit, found in networks().items():
        systems = found["links"].get(str(ALL_SYSTEMS_MBIT_S))
        if systems is None:
            continue
        cells = [f"{systems[name]['bytes_per_image']['median']:,.0f}" if name in systems else DASH for name in names]
        times = systems["baseline"]["bytes_per_image"]["median"] / systems["stored"]["bytes_per_image"]["median"]
        rows.append([_label(unit, found), *cells, f"{times:.1f}", f"{EPOCHS * times:.0f}"])
    return "\n".join([
        *table(["bytes an image", *(SYSTEMS[name] for name in names), "times fewer", f"in {EPOCHS} epochs"], rows),
        "",
        "On the wire, both ways, headers included; fewer than BASELINE's. Later epochs of stored features come from "
        f"the reader's memory. The paper: up to {published.FEWER_BYTES_TIMES} times fewer (AlexNet, training batches "
        f"of 8,000), and VGG-19 {published.VGG19_MORE_BYTES:g} times more. {machine(result)}",
    ])  # fmt: skip


_EPOCHS = {
    "baseline": "BASELINE, eager float32",
    "baseline fast": "BASELINE, OpenVINO",
    "script": "script, eager float32",
    "script fast": "script, Inductor",
    "stored": "hapistore: the storage tier extracts",
    "together": "hapistore: both tiers extract",
}


def epochs_table() -> str:
    """Twenty epochs on ELPV by every system and link."""
    result = read_result("paper_epochs")
    units = {name: unit for name, unit in result["units"].items() if "systems" in unit}
    rows = []
    for name, unit in units.items():
        for system, label in _EPOCHS.items():
            one, times = unit["systems"][system], unit["one_of"][system]
            first = {key: times * value for key, value in one["first_s"].items() if key != "runs"}
            later = {key: times * value for key, value in one.get("later_s", one["first_s"]).items() if key != "runs"}
            against = [unit["ratios"].get(f"{own} against {system}") for own in OURS]
            rows.append([
                name, label, range_text(first, 1), range_text(later, 3 if later["median"] < 1 else 1),
                range_text(unit["total_s"][system], 1),
                *(DASH if one is None else range_text(one, 1) for one in against),
            ])  # fmt: skip
    times = ["times hapistore's, storage tier", "both tiers"]
    head = ["link", "", "first epoch, s", "later epoch, s", f"{EPOCHS} epochs, s", *times]
    one = next(iter(units.values()))
    accuracy = result["units"]["accuracy"]
    lines = [_later(name, unit["ratios"]) for name, unit in units.items()]
    return "\n".join([
        *table(head, rows),
        "",
        *lines,
        f"- Accuracy of a linear probe on what is trained from: {100 * accuracy['stored']:.2f} %, on exact float32 "
        f"features {100 * accuracy['f32']:.2f} %: {accuracy['points_below']:.2f} points less (standard error "
        f"{accuracy['standard_error_points']:.2f}, {accuracy['folds']} folds).",
        "",
        f"{one['images']:,} photographs of ELPV (CC BY-NC-SA 4.0), EfficientNet-Lite0 with its ImageNet weights, "
        f"training batches of 128; extraction included. OpenVINO, Inductor and hapistore in {one['precision']}. All "
        f"but hapistore run on one of {one['one_of']['baseline']:.3g} photographs and are counted so many times; an "
        f"epoch of BASELINE counts {EPOCHS} times. Networks are loaded and compiled before; the service took "
        f"{one['told_s']:.1f} s for it. {machine(result)}",
    ])  # fmt: skip


def _later(name: str, ratios: dict[str, Any]) -> str:
    """A line about epochs but the first."""
    memory, link, size, alone, both = (
        range_text(ratios[about], 0)
        for about in (
            "later epoch against baseline", "epoch over the link against baseline", "bytes an epoch over the link",
            *(f"bytes over all epochs, {own}" for own in OURS),
        )
    )  # fmt: skip
    return (
        f"- {name}: a later epoch is {memory} times as fast as BASELINE's, {link} times where its features come over "
        f"the link again, for {size} times fewer bytes. Over all {EPOCHS} epochs {alone} times fewer bytes where the "
        f"storage tier extracts, {both} where both do, since half of the images cross the link once."
    )
