"""Every table in the documents, made from ``results/*.json``: ``python -m benchmarks.tables``.

A table stands between ``<!-- table NAME -->`` and ``<!-- end -->``; only what is between is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .environment import read_result

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "benchmarks/RESULTS.md", "docs/augmentation.md")


def _range(figure: dict[str, float], digits: int, unit: str = "") -> str:
    low, high = f"{figure['low']:.{digits}f}", f"{figure['high']:.{digits}f}"
    spread = f" ({low}–{high})" if low != high else ""
    return f"{figure['median']:,.{digits}f}{unit}{spread}"


def _measured_on(result: dict[str, Any]) -> str:
    where = result["environment"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("hapistore", "torch", "openvino"))
    runs = result["figures"]["epoch_s"]["runs"]
    return f"Medians of {runs} runs (lowest–highest) on {where['cores']} cores of an {where['cpu']}; {versions}."


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
            f"| seconds of a training epoch | {_range(f['usual_epoch_s'], 1)} "
            f"| {_range(f['epoch_s'], 3)} ({faster:,.0f}× faster) |",
            f"| once, before the first epoch: ingest, extraction | – "
            f"| {_range(f['ingest_s'], 1, ' s')}, {_range(f['extract_s'], 1, ' s')} |",
            f"| test accuracy of a linear head | {_range(f['test_accuracy_full_precision'], 4)} (float32 features) "
            f"| {_range(f['test_accuracy'], 4)} (8-bit features) |",
            "",
            _measured_on(result),
        ]
    )


def codecs_table() -> str:
    """Every codec and peer on every set, those on the front in bold."""
    result = read_result("codecs")
    parts = []
    for name, measured in result["sets"].items():
        rows, *shape = measured["shape"]
        parts += [
            f"**{name}**: {measured['features']}, {rows:,} rows of {'×'.join(map(str, shape))}, "
            f"{measured['zeros']:.0%} zeros",
            "",
            "| codec | bytes a row | decode, GB/s of float32 | encode | largest error | rms error |",
            "|---|---|---|---|---|---|",
        ]
        codecs = measured["codecs"]
        for codec, figures in sorted(codecs.items(), key=lambda item: (not item[1]["ours"], item[1]["bytes_per_row"])):
            label = f"**{codec}**" if not _beaten_by(figures, codecs) else codec
            parts.append(
                f"| {label} | {figures['bytes_per_row']:,.0f} | {_range(figures['decode_gb_s'], 2)} "
                f"| {figures['encode_gb_s']:.3f} | {figures['largest_error']:.2g} | {figures['rms_error']:.2g} |"
            )
        parts += ["", _verdict(codecs), ""]
    where = result["environment"]
    named = ("numpy", "numba", "zstandard", "lz4", "blosc2", "pcodec", "zfpy")
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in named)
    parts.append(f"One thread of an {where['cpu']}; {versions}.")
    return "\n".join(parts)


def _verdict(codecs: dict[str, dict[str, Any]]) -> str:
    """Which peers are both smaller and faster than a codec of ours."""
    beaten = {}
    for name, figures in codecs.items():
        peers = [peer for peer in _beaten_by(figures, codecs) if not codecs[peer]["ours"]]
        if figures["ours"] and peers:
            beaten[name] = peers
    if not beaten:
        return "No peer is smaller and faster to decode than a codec of ours at no larger an error."
    return (
        "Smaller and faster: " + "; ".join(f"than {name}: {', '.join(peers)}" for name, peers in beaten.items()) + "."
    )


def gather_table() -> str:
    """Random rows of uncompressed shards."""
    result = read_result("codecs")
    rows = [f"| {name} | {_range(rate, 1)} |" for name, rate in result["gather_gb_s"].items()]
    where = result["environment"]
    return "\n".join(
        ["| stored as | GB/s of float32 |", "|---|---|", *rows, "", f"One thread of an {where['cpu']}, medians."]
    )


def probe_table() -> str:
    """What codecs and bf16 cost in accuracy."""
    result = read_result("probe")
    lines = ["| codec, or precision | accuracy | points below f32 (standard error) |", "|---|---|---|"]
    for codec, f in sorted(result["codecs"].items(), key=lambda item: item[1]["points_below_f32"]):
        lines.append(
            f"| {codec} | {f['accuracy']:.4f} | {f['points_below_f32']:.2f} ({f['standard_error_points']:.2f}) |"
        )
    versions = result["environment"]["versions"]
    lines += ["", f"{result['rows']:,} photographs, {result['folds']} folds; scikit-learn {versions['scikit-learn']}."]
    return "\n".join(lines)


def augmentation_table() -> str:
    """What stored variants buy in accuracy, and cost in bytes and processor time."""
    result = read_result("augmentation")
    lines = [
        "| variants | median accuracy (lowest–highest of folds) | points gained (standard error) | bytes an image "
        "| processor time of extraction |",
        "|---|---|---|---|---|",
    ]
    for kind, f in sorted(result["accuracy"].items(), key=lambda item: (item[0] != "none", item[0])):
        name, _, count = kind.partition(" ")
        label = f"{count} of `{result['augments'][name]}`" if count else "none"
        # Crops of any size cost the same, so one kind was timed.
        times = _range(result["processor_seconds"][count or "0"]["times_plain"], 1, "×")
        gained = f"{f['points_gained']:+.2f} ({f['standard_error_points']:.2f})" if count else ""
        lines.append(
            f"| {label} | {_range(f['accuracy'], 4)} | {gained} | {result['bytes_per_image'][kind]:,.0f} | {times} |"
        )
    where = result["environment"]
    plain = result["processor_seconds"]["0"]["seconds"]
    lines += [
        "",
        f"{result['rows']:,} photographs, {result['repeats']} times five folds, paired; `{result['codec']}`. "
        f"Extraction of {result['timed_images']} photographs as they are takes {_range(plain, 1, ' s')} of processor "
        f"time, its start included (variants timed: `{result['augments']['strong']}`); {where['cores']} cores "
        f"of an {where['cpu']}, OpenVINO {where['versions']['openvino']}.",
    ]
    return "\n".join(lines)


def forward_table() -> str:
    """Images per second of every executor, as a share of eager float32."""
    result = read_result("forward")
    networks = result["networks"]
    labels = list(dict.fromkeys(label for network in networks.values() for label in network["executors"]))
    lines = [
        "| executor | " + " | ".join(f"{name} ({found['weights']} weights)" for name, found in networks.items()) + " |",
        "|---|" + "---|" * len(networks),
    ]
    for label in labels:
        cells = [_forward_cell(found["executors"][label]) for found in networks.values()]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    where = result["environment"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("torch", "openvino", "onnxruntime"))
    lines += [
        "",
        f"Images/s, and how many times eager float32 (lowest–highest of each round); {where['cores']} cores of an "
        f"{where['cpu']}; {versions}.",
    ]
    return "\n".join(lines)


def _forward_cell(found: dict[str, Any]) -> str:
    if "missing" in found:
        return "–"
    return f"{found['images_per_s']['median']:.1f}, {_range(found['of_eager'], 1)}×"


def stores_table() -> str:
    """Hapistore's store beside bare obstore, over loopback and over a shaped link."""
    lines = ["| | hapistore, s | bare obstore, s | ratio |", "|---|---|---|---|"]
    for name in ("stores", "stores_1000mbit"):
        result = read_result(name)
        link = "loopback" if result["link_mbit_s"] is None else f"{result['link_mbit_s']:,} Mbit/s"
        for operation, both in sorted(result["seconds"].items()):
            ratio = both["hapistore"]["median"] / both["obstore"]["median"]
            ours, theirs = _range(both["hapistore"], 3), _range(both["obstore"], 3)
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
            f"| {name} | {_range(figures['seconds'], 2)} | {copied / figures['seconds']['median']:.2f} | {ready} "
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


def plan_table() -> str:
    """Processor time of planning, by requests and networks among them."""
    result = read_result("plan")
    lines = ["| | median, ms | p99, ms | highest, ms |", "|---|---|---|---|"]
    for name, found in result["plan_ms"].items():
        count = int(name.split()[0])
        if count in (8, 32, 64):
            lines.append(f"| {name} | {found['median']:.2f} | {found['p99']:.2f} | {found['high']:.2f} |")
    where = result["environment"]
    return "\n".join([*lines, "", f"Processor time of one thread of an {where['cpu']}."])


def jobs_table() -> str:
    """Many jobs in little memory: the worker beside fixed batches."""
    result = read_result("jobs")
    count, budget = result["jobs"], result["budget_bytes"]
    report = result["worker"].get("report", {})
    lines = [
        f"| {count} jobs, {budget / 2**30:g} GiB | jobs done | killed by the kernel | seconds | most memory, GiB |",
        "|---|---|---|---|---|",
    ]
    names = {"worker": "hapistore's worker"} | {
        mode: f"batches of {result['fixed_batch']}, {at_once} {mode.removeprefix('all ')} at once"
        for mode, at_once in result["fixed_at_once"].items()
    }
    for mode, name in names.items():
        found = result[mode]
        lines.append(
            f"| {name} | {found['jobs_done']} | {found['kills']} | {found['seconds']:.0f} "
            f"| {found['group_peak_bytes'] / 2**30:.2f} |"
        )
    where = result["environment"]
    weights = ", ".join(f"{name} ({weights} weights)" for name, weights in result["networks"].items())
    lines += [
        "",
        f"{result['images_each']} photographs a job; {weights}; bf16, OpenVINO {where['versions']['openvino']}.",
    ]
    if report:
        deferred = sorted(job["deferred_s"] for job in report["jobs"])
        killed = result["worker"]["kills"]
        lines.append(
            f"The worker ran at most {report['most_running']} jobs at once, "
            f"planned {report['planned_bytes'] / 2**30:.2f} GiB at most "
            f"and took up to {report['base_bytes'] / 2**30:.2f} GiB itself, and deferred jobs for up to "
            f"{deferred[-1]:.0f} s; the kernel killed {killed} of its children."
        )
    for pair, ratio in result["at_once_over_in_turn"].items():
        lines.append(f"Two forward passes at once, {pair}: {_range(ratio, 2)} times as fast as in turn.")
    lines.append(
        f"{where['cores']} cores of an {where['cpu']}, shared with other work; "
        f"control groups {result['control_groups']}."
    )
    return "\n".join(lines)


def _beaten_by(figures: dict[str, Any], others: dict[str, dict[str, Any]]) -> list[str]:
    """Which others are smaller and faster to decode, at no larger an error."""
    return [
        name
        for name, other in others.items()
        if other["bytes_per_row"] < figures["bytes_per_row"]
        and other["decode_gb_s"]["median"] > figures["decode_gb_s"]["median"]
        and other["rms_error"] <= figures["rms_error"]
        and other["largest_error"] <= figures["largest_error"]
    ]


TABLES: dict[str, Callable[[], str]] = {
    "demo": demo_table,
    "codecs": codecs_table,
    "gather": gather_table,
    "probe": probe_table,
    "augmentation": augmentation_table,
    "forward": forward_table,
    "stores": stores_table,
    "ingest": ingest_table,
    "plan": plan_table,
    "jobs": jobs_table,
}


def fill(text: str) -> str:
    """A document with every table replaced by a fresh one."""

    def replace(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", replace, text, flags=re.DOTALL)


def main() -> None:
    """Rewrite the documents."""
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(fill(path.read_text()))


if __name__ == "__main__":
    main()
