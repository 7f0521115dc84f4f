"""Codecs, and what they and precisions cost."""

from __future__ import annotations

from typing import Any

from ..environment import read_result
from .text import range_text


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
                f"| {label} | {figures['bytes_per_row']:,.0f} | {range_text(figures['decode_gb_s'], 2)} "
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


def gather_table() -> str:
    """Random rows of uncompressed shards."""
    result = read_result("codecs")
    rows = [f"| {name} | {range_text(rate, 1)} |" for name, rate in result["gather_gb_s"].items()]
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
        times = range_text(result["processor_seconds"][count or "0"]["times_plain"], 1, "×")
        gained = f"{f['points_gained']:+.2f} ({f['standard_error_points']:.2f})" if count else ""
        accuracy, size = range_text(f["accuracy"], 4), result["bytes_per_image"][kind]
        lines.append(f"| {label} | {accuracy} | {gained} | {size:,.0f} | {times} |")
    where = result["environment"]
    plain = result["processor_seconds"]["0"]["seconds"]
    lines += [
        "",
        f"{result['rows']:,} photographs, {result['repeats']} times five folds, paired; `{result['codec']}`. "
        f"Extraction of {result['timed_images']} photographs as they are takes {range_text(plain, 1, ' s')} of "
        f"processor time, its start included (variants timed: `{result['augments']['strong']}`); {where['cores']} "
        f"cores of an {where['cpu']}, OpenVINO {where['versions']['openvino']}.",
    ]
    return "\n".join(lines)
