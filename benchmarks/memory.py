"""Whether extraction stays within its memory budget and uses it: ``python -m benchmarks.memory``.

EfficientNet-Lite0 up to its last map, through OpenVINO and through eager PyTorch. Every run is a process of its own:
it measures the smallest budget that anything works with (one image), gives the search for the extraction batch a
multiple of it, lets it run until it has settled, and then twice more. The peak is the kernel's high-water mark of the
whole process over all forward passes. Ten seconds a run and more: with 100 runs for each of three budgets and two
executors some hours on two cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from .environment import spread, write_result

FACTORS = (1.2, 2.0, 4.0)
EXECUTORS = ("openvino", "torch")
AIMS = ("memory", "knee")


def one_run(executor_name: str, factor: float, aim: str, seed: int) -> dict[str, Any]:
    """Smallest budget, budget, peak and sizes of one search, in this process."""
    import numpy as np

    import hapistore as hs
    from hapistore.extraction.batching import BatchRunner
    from hapistore.extraction.executors import EagerExecutor, OpenVINOExecutor

    prefix = hs.load_backbone("efficientnet_lite0").prefix("map")
    executor = OpenVINOExecutor(prefix) if executor_name == "openvino" else EagerExecutor(prefix)
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, prefix.preprocess.pixel_shape, np.uint8)
    idle = executor.idle_bytes()
    peaks = []
    for _ in range(2):
        executor.run(image[None])
        peaks.append(executor.peak_bytes())
    smallest = max(peaks)
    budget = int(smallest * factor)
    runner = BatchRunner(executor, budget_bytes=budget, max_batch=4096, aim=aim)
    search = runner._search
    search.idle_bytes = idle  # as if nothing had run yet
    sizes = []
    while not search.settled:
        sizes.append(search.batch)
        for _ in runner.run(np.roll(image, n, axis=1) for n in range(sizes[-1])):
            pass
    for _ in range(2):  # at what it settled on
        for _ in runner.run(np.roll(image, n, axis=1) for n in range(search.batch)):
            pass
    return {
        "smallest_bytes": smallest,
        "budget_bytes": budget,
        "peak_bytes": runner.peak_bytes,
        "sizes": sizes,
        "batch": search.batch,
        "images_s": search.curve.rate(search.batch),
        "best_images_s": search.curve.rate(1 << 30),
    }


def in_a_child(*arguments: object) -> dict[str, Any]:
    """``one_run`` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"a run of {arguments} failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many runs kept to the budget, and how much of it they used."""
    return {
        "runs": len(runs),
        "within_budget": sum(run["peak_bytes"] <= run["budget_bytes"] for run in runs),
        "share_of_budget": spread([run["peak_bytes"] / run["budget_bytes"] for run in runs]),
        "batch": spread([run["batch"] for run in runs]),
        "of_the_best_rate": spread([run["images_s"] / run["best_images_s"] for run in runs]),
        "smallest_mib": spread([run["smallest_bytes"] / (1 << 20) for run in runs]),
        "sizes_tried": spread([len(set(run["sizes"])) for run in runs]),
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--executor", choices=EXECUTORS, action="append")
    parser.add_argument("--aim", choices=AIMS, default="memory")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, factor, aim, seed = options.child
        print(json.dumps(one_run(name, float(factor), aim, int(seed))))
        return
    budgets = {
        f"{name}, {factor:g} times the smallest": summary(
            [in_a_child(name, factor, options.aim, seed) for seed in range(options.runs)]
        )
        for name in options.executor or EXECUTORS
        for factor in FACTORS
    }
    print(write_result("memory", {"aim": options.aim, "budgets": budgets}))


if __name__ == "__main__":
    main()
