"""24 extractions at once where memory is for three: ``python -m benchmarks.jobs``.

Six datasets of 256 photographs (ELPV) for each of four networks: EfficientNet-Lite0 (its ImageNet weights), ResNet-18,
ResNet-50 and ViT-S/16 (random weights), all in bf16 through OpenVINO. All contenders run in a control group whose
limit the kernel enforces (root, version 1 or 2): hapistore's worker with that limit as its budget, and a script that
runs extraction batches of 256: all 24 jobs at once in a process each, or on threads of one process that load one after
the other, and three threads that take job after job, which somebody has to know. Besides: two forward passes at once
against the same in turn. Half an hour on two cores that others use too.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import hapistore as hs
from hapistore.catalog import open_image_shard, resolve_version
from hapistore.extraction import ExtractionJob, Network, WorkerOptions, extract_jobs
from hapistore.extraction.executors import ChildExecutor, OpenVINOExecutor

from .control_group import MemoryGroup, NoGroup, memory_group
from .environment import read_result, spread, write_result
from .torchvision_shim import import_torchvision

NETWORKS = {
    "efficientnet_lite0": "pretrained",
    "torchvision/resnet18": "random",
    "torchvision/resnet50": "random",
    "timm/vit_small_patch16_224": "random",
}
DATASETS, IMAGES, FIXED_BATCH = 6, 256, 256
# Contenders, and how many jobs of theirs run at once; the worker finds out.
MODES = {"worker": 0, "threads": 3, "all threads": 24, "processes": 24}
SHARD_BYTES = 4 << 20


def ingest_photographs(folder: Path) -> None:
    """Six datasets of different photographs."""
    spec = find_spec("elpv_dataset")
    assert spec is not None
    assert spec.origin is not None
    paths = sorted((Path(spec.origin).parent / "data/images").glob("*.png"))
    store = hs.open_store(folder)
    for number in range(DATASETS):
        table = folder.parent / "photographs.csv"
        with open(table, "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["path", "key", "label"])
            rows.writerows([path, path.name, "cell"] for path in paths[number * IMAGES : (number + 1) * IMAGES])
        hs.ingest(store, f"photos{number}", hs.manifest(table), hs.IngestOptions(shard_bytes=SHARD_BYTES))


def with_the_worker(folder: Path, budget_bytes: int) -> dict[str, Any]:
    """All jobs in hapistore's worker; each dataset is a tenant's."""
    store = hs.open_store(folder)
    jobs = [
        ExtractionJob(
            dataset=f"photos{number}",
            network=Network(backbone=name, weights=weights),
            precision="bf16",
            executor="openvino",
            tenant=f"tenant {number}",
        )
        for number in range(DATASETS)
        for name, weights in NETWORKS.items()
    ]
    report = extract_jobs(store, jobs, WorkerOptions(memory_bytes=budget_bytes)).to_json()
    for job in report["jobs"]:
        job["batches"] = job["batches"][:20]
    return report


def with_fixed_batches(folder: Path, number: int, name: str, loading: threading.Lock) -> None:
    """One job by hand."""
    store = hs.open_store(folder)
    with loading:  # exporting is not safe in several threads
        prefix = hs.load_backbone(name, weights=NETWORKS[name]).prefix()
        executor = OpenVINOExecutor(prefix, "bf16", 2)
    shards = [open_image_shard(store, shard) for shard in resolve_version(store, f"photos{number}").shards]
    pixels = [prefix.preprocess(shard.image(row)) for shard in shards for row in range(len(shard))]
    for begun in range(0, len(pixels), FIXED_BATCH):
        executor.run(np.stack(pixels[begun : begun + FIXED_BATCH]))
    executor.close()
    print("done", number, name, flush=True)


def all_with_fixed_batches(folder: Path, mode: str) -> None:
    """The same set, so many at once, on threads or in a process each."""
    loading = threading.Lock()

    def one(job: tuple[int, str]) -> None:
        number, name = job
        if mode == "processes":
            command = [sys.executable, "-m", "benchmarks.jobs", "--child", "one", str(folder), f"{number} {name}"]
            subprocess.run(command, check=False)  # it says itself when it is done
        else:
            with_fixed_batches(folder, number, name, loading)

    with ThreadPoolExecutor(MODES[mode]) as pool:
        list(pool.map(one, [(number, name) for number in range(DATASETS) for name in NETWORKS]))


def passes_at_once(rounds: int = 5, batch: int = 16) -> dict[str, Any]:
    """How many times as fast two forward passes at once are as the same two in turn."""
    found = {}
    for pair in (("efficientnet_lite0", "torchvision/resnet18"), ("torchvision/resnet50", "torchvision/resnet50")):
        executors = [
            ChildExecutor(hs.load_backbone(name, weights="random").prefix(), "openvino 2 streams", "bf16")
            for name in pair
        ]
        pixels = np.random.default_rng(0).integers(0, 256, (batch, 224, 224, 3), np.uint8)
        for executor in executors:
            executor.run(pixels)
        ratios = []
        for _ in range(rounds):
            started = time.perf_counter()
            for executor in executors:
                executor.run(pixels)
            in_turn = time.perf_counter() - started
            started = time.perf_counter()
            with ThreadPoolExecutor(len(executors)) as pool:
                for running in [pool.submit(executor.run, pixels) for executor in executors]:
                    running.result()
            ratios.append(in_turn / (time.perf_counter() - started))
        for executor in executors:
            executor.close()
        found[" and ".join(pair)] = spread(ratios)
    return found


def in_the_group(group: MemoryGroup, mode: str, folder: Path, budget_bytes: int) -> dict[str, Any]:
    """One contender in a process of its own, under the limit."""
    started, kills = time.perf_counter(), group.kills
    command = [sys.executable, "-m", "benchmarks.jobs", "--child", mode, str(folder), str(budget_bytes)]
    # An own cache: what an earlier run has measured is not known.
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder.parent / "cache")}
    done = group.run(command, env=environment)
    lines = done.stdout.splitlines()
    found: dict[str, Any] = {
        "status": done.returncode,
        "kills": group.kills - kills,
        "seconds": time.perf_counter() - started,
        "jobs_done": sum(line.startswith("done ") for line in lines),
    }
    if mode == "worker" and done.returncode == 0:
        report = json.loads(lines[-1])
        states = Counter(job["state"] for job in report["jobs"])
        found |= {"jobs_done": states["done"], "report": report}
    elif done.returncode > 0:
        print(done.stderr[-3000:], file=sys.stderr)
    return found


def run_child(mode: str, folder: str, about: str) -> None:
    """What a process of a contender does.

    Args:
        about: the budget in bytes, or a job's dataset and network.
    """
    if mode == "worker":
        print(json.dumps(with_the_worker(Path(folder), int(about))))
    elif mode == "one":
        number, name = about.split()
        with_fixed_batches(Path(folder), int(number), name, threading.Lock())
    else:
        all_with_fixed_batches(Path(folder), mode)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=3.0, help="the limit, and the budget")
    parser.add_argument("--only", choices=MODES, help="measure this one anew, and keep what is known of the others")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    import_torchvision()
    if options.child:
        run_child(*options.child)
        return
    budget_bytes = int(options.gib * (1 << 30))
    result: dict[str, Any] = read_result("jobs") if options.only else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        ingest_photographs(folder)
        try:
            for mode in [options.only] if options.only else MODES:
                with memory_group(budget_bytes) as group:
                    result[mode] = in_the_group(group, mode, folder, budget_bytes)
                    result[mode]["group_peak_bytes"] = group.peak_bytes
                    result["control_groups"] = f"version {group.version}"
        except NoGroup as error:
            raise SystemExit(f"no memory limit, so nothing is measured: {error}") from error
    result |= {
        "budget_bytes": budget_bytes,
        "jobs": DATASETS * len(NETWORKS),
        "images_each": IMAGES,
        "fixed_batch": FIXED_BATCH,
        "fixed_at_once": {mode: at_once for mode, at_once in MODES.items() if at_once},
        "networks": NETWORKS,
    }
    if not options.only:
        result["at_once_over_in_turn"] = passes_at_once()
    result.pop("environment", None)
    print(write_result("jobs", result))


if __name__ == "__main__":
    main()
