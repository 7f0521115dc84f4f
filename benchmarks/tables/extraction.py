"""Executors, extraction, its memory, and many jobs at once."""

from __future__ import annotations

from typing import Any

from ..environment import read_result
from .text import range_text


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
    return f"{found['images_per_s']['median']:.1f}, {range_text(found['of_eager'], 1)}×"


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
        lines.append(f"Two forward passes at once, {pair}: {range_text(ratio, 2)} times as fast as in turn.")
    lines.append(
        f"{where['cores']} cores of an {where['cpu']}, shared with other work; "
        f"control groups {result['control_groups']}."
    )
    return "\n".join(lines)


def extract_table() -> str:
    """Images per second to features on the disk, beside what people write; and of the bare forward pass."""
    result = read_result("extract")
    lines = []
    for case in result["cases"]:
        lines += [
            f"**{case['backbone']}** ({case['weights']} weights), {case['data']}",
            "",
            "| | images/s | of the plain script | of the bare forward pass |",
            "|---|---|---|---|",
        ]
        for name, rate in sorted(case["rates"].items(), key=lambda item: item[1]["median"]):
            of_plain, of_bare = range_text(case["of_plain"][name], 1, "×"), range_text(case["of_bare"][name], 2)
            lines.append(f"| {name} | {range_text(rate, 1)} | {of_plain} | {of_bare} |")
        chosen = "; ".join(f"{name}: {label}" for name, label in case["executors"].items())
        lines += ["", f"{chosen}.", ""]
    where = result["environment"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("torch", "openvino"))
    lines.append(f"Medians (lowest–highest); {where['cores']} cores of an {where['cpu']}; {versions}.")
    return "\n".join(lines)


def memory_table() -> str:
    """Whether extraction keeps to its budget, and uses it."""
    result = read_result("memory")
    lines = [
        "| budget | runs | within it | share of it used | extraction batch | of the best rate |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in result["budgets"].items():
        lines.append(
            f"| {name} | {found['runs']} | {found['within_budget']} | {range_text(found['share_of_budget'], 2)} "
            f"| {range_text(found['batch'], 0)} | {range_text(found['of_the_best_rate'], 2)} |"
        )
    where = result["environment"]
    versions = ", ".join(f"{name} {where['versions'][name]}" for name in ("torch", "openvino"))
    return "\n".join([*lines, "", f"{where['cores']} cores of an {where['cpu']}; {versions}."])
