"""The main job, stores and ingest."""

from __future__ import annotations

from typing import Any

from ..environment import read_result
from .text import range_text


def demo_table() -> str:
    """The main job: what stored features save, and what they cost."""
    result = read_result("demo")
    f = result["figures"]
    ratio = f["bytes_per_image_raw"]["median"] / f["bytes_per_image_features"]["median"]
    faster = f["usual_epoch_s"]["median"] / f["epoch_s"]["median"]
    return "\n".join(
        [
            f"| {result['images']:,} photographs, EfficientNet-Lite0 | the usual script | hapistore |",
            "|---|---|---|",
            f"| bytes read per image and epoch | {f['bytes_per_image_raw']['median']:,.0f} "
            f"| {f['bytes_per_image_features']['median']:,.0f} ({ratio:.0f}× fewer) |",
            f"| seconds of a training epoch | {range_text(f['usual_epoch_s'], 1)} "
            f"| {range_text(f['epoch_s'], 3)} ({faster:,.0f}× faster) |",
            f"| once, before the first epoch: ingest, extraction | – "
            f"| {range_text(f['ingest_s'], 1, ' s')}, {range_text(f['extract_s'], 1, ' s')} |",
            f"| test accuracy of a linear head | {range_text(f['test_accuracy_full_precision'], 4)} (float32 features) "
            f"| {range_text(f['test_accuracy'], 4)} (8-bit features) |",
            "",
            measured_on(result),
        ]
    )


def measured_on(result: dict[str, Any]) -> str:
    where = result["environment"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("hapistore", "torch", "openvino"))
    runs = result["figures"]["epoch_s"]["runs"]
    return f"Medians of {runs} runs (lowest–highest) on {where['cores']} cores of an {where['cpu']}; {versions}."


def stores_table() -> str:
    """Hapistore's store beside bare obstore, over loopback and over a shaped link."""
    lines = ["| | hapistore, s | bare obstore, s | ratio |", "|---|---|---|---|"]
    for name in ("stores", "stores_1000mbit"):
        result = read_result(name)
        link = "loopback" if result["link_mbit_s"] is None else f"{result['link_mbit_s']:,} Mbit/s"
        for operation, both in sorted(result["seconds"].items()):
            ratio = both["hapistore"]["median"] / both["obstore"]["median"]
            ours, theirs = range_text(both["hapistore"], 3), range_text(both["obstore"], 3)
            lines.append(f"| {operation}, {link} | {ours} | {theirs} | {ratio:.2f} |")
    shaped = read_result("stores_1000mbit")
    seconds = shaped["seconds"]["get 64 MiB"]["hapistore"]["median"]
    part = shaped["shard_bytes"] * 8 / seconds / 1e6 / shaped["link_mbit_s"]
    where = shaped["environment"]
    lines += [
        "",
        f"A shard comes at {part:.0%} of the shaped link. {where['cores']} cores of an {where['cpu']}, medians.",
    ]
    return "\n".join(lines)


def ingest_table() -> str:
    """Ingest beside the writers people use."""
    result = read_result("ingest")
    systems = result["systems"]
    copied = systems[result["copy"]]["seconds"]["median"]
    lines = [
        "| | seconds | of the rate of cp | seconds until ready | peak memory, MiB | stored, GB |",
        "|---|---|---|---|---|---|",
    ]
    for name, figures in sorted(systems.items(), key=lambda item: item[1]["seconds"]["median"]):
        peak = f"{figures['peak_bytes'] / 2**20:.0f}" if figures["peak_bytes"] else ""
        ready = f"{figures['ready_seconds']['median']:.2f}" if figures["peak_bytes"] else ""
        lines.append(
            f"| {name} | {range_text(figures['seconds'], 2)} | {copied / figures['seconds']['median']:.2f} | {ready} "
            f"| {peak} | {figures['stored_bytes'] / 1e9:.2f} |"
        )
    where = result["environment"]
    versions = ", ".join(
        f"{name} {where['versions'][name]}" for name in ("webdataset", "litdata", "mosaicml-streaming", "datasets")
    )
    lines += [
        "",
        f"{result['images']:,} JPEGs, {result['bytes'] / 1e9:.2f} GB; {where['cores']} cores of an {where['cpu']}; "
        f"{versions}.",
    ]
    return "\n".join(lines)
