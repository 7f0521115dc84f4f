"""The planner on HAPI's own logs: ``python -m benchmarks.planner_oracle hapi_split_times.json``.

Its authors measured training with every cut of a model, at two bandwidths. For each of these grids the planner gets a
profile made from the model's *other* bandwidth only, and its choice is compared with the best that was measured. What
storage took is not in the logs: it is the request without the transfer at the measured rate. The stages ran in series.
Without an argument the file's path is taken from HAPISTORE_ORACLE. Takes a second.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hapistore.planning import Resources, plan_split, profile_from_json

from .environment import write_result

# HAPI's "input" is the tensor that the first layer takes: float32 [3, 224, 224].
INPUT_BYTES = 4 * 3 * 224 * 224
COMPARED = ("cost", "hapi", "freeze", "smallest")


def link_of(grid: dict[str, Any]) -> float:
    """The rate that was measured, in bytes/s."""
    return grid["link_mbps_measured"] * 1e6 / 8


def profile_of(grid: dict[str, Any]) -> dict[str, Any]:
    """A grid as the profile that ``hapistore plan`` takes."""
    batch, link = grid["batch_size"], link_of(grid)
    cuts = [
        {
            "index": cut["index"],
            "name": f"{grid['model']}:{cut['index']}",
            "bytes_per_image": cut["bytes_per_image"],
            "storage_s_per_image": max(0.0, cut["request_s_per_batch"] / batch - cut["bytes_per_image"] / link),
            "compute_s_per_image": (cut["deserialise_s_per_batch"] + cut["train_s_per_batch"]) / batch,
        }
        for cut in grid["cuts"]
    ]
    return {
        "input_bytes_per_image": INPUT_BYTES,
        "freeze_index": grid["freeze_index"],
        "images": batch * grid["batches"],
        "overlap": "none",
        "cuts": cuts,
    }


def judged(grid: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What each policy chooses on a grid, knowing only the other one, and how far that is from the best measured."""
    profile = profile_from_json(profile_of(other))
    resources = Resources(link_bytes_per_s=link_of(grid), batch_size=grid["batch_size"])
    measured = {cut["index"]: cut["total_s"] for cut in grid["cuts"]}
    best = min(measured, key=lambda index: measured[index])
    policies = {}
    for policy in COMPARED:
        chosen = plan_split(profile, resources, policy).chosen
        policies[policy] = {
            "index": chosen.cut.index,
            "predicted_s": chosen.epoch_s,
            "measured_s": measured[chosen.cut.index],
            "off_best": measured[chosen.cut.index] / measured[best] - 1,
        }
    return {
        "model": grid["model"],
        "link_mbps": grid["link_mbps_measured"],
        "cuts": len(measured),
        "best": {"index": best, "measured_s": measured[best]},
        "policies": policies,
    }


def judge_all(grids: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every grid with the one other grid of its model.

    Raises:
        ValueError: a model has not two grids.
    """
    found = []
    for grid in grids:
        others = [other for other in grids if other["model"] == grid["model"] and other is not grid]
        if len(others) != 1:
            raise ValueError(f"{grid['model']}: found {1 + len(others)} grids, expected two")
        found.append(judged(grid, others[0]))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grids", nargs="?", default=os.environ.get("HAPISTORE_ORACLE"), help="hapi_split_times.json")
    options = parser.parse_args(arguments)
    if options.grids is None:
        parser.error("name the file of grids, or set HAPISTORE_ORACLE")
    logs = json.loads(Path(options.grids).read_text())
    print(write_result("planner_oracle", {"about": logs["about"], "grids": judge_all(logs["grids"])}))


if __name__ == "__main__":
    main()
