"""Reading stored features into a training loop, beside what people use: ``python -m benchmarks.read``.

Half a million rows of 1,280 values (EfficientNet-Lite0's pooled features of photographs, mixed in pairs) and 8,192 maps
of 1,280 x 7 x 7, on a local disk and in the page cache; shuffled training batches of 256 float32 torch tensors with
their labels. Each system has a process of its own in every round, which reads for some seconds after an epoch or as
many seconds to warm up; the order of systems alternates. Besides: the time to the first batch after
``load_state_dict`` at several positions of an epoch, each in a new process. Needs 16 GB on disk, ``pip install
'.[demo,dev,bench]'``, and peers whose requirements contradict ours: ``pip install --no-deps litdata mosaicml-streaming
pylance ffcv``, then what they import (FFCV is built, with Debian's libopencv-dev, libturbojpeg0-dev and pkg-config).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from .environment import spread, write_result
from .read_data import BATCH, open_many, real_features, write_store
from .read_peers import PEERS

OURS = "hapistore"
CASES = {"pooled": ("pool", 500_000), "maps": ("map", 8_192)}
_PACKAGES = ("litdata", "mosaicml-streaming", "webdataset", "pylance", "datasets", "ffcv", "torchdata")
_POSITIONS = (0.0, 0.01, 0.5, 0.99)


def folder_of(root: Path, name: str) -> Path:
    """Where a system's features are; the tensor in memory is made of what the memmap reads."""
    return root / ("numpy-memmap" if name == "torch tensor in memory" else name.replace(" ", "-"))


def write_all(root: Path, cut: str, rows: int) -> None:
    """Features for every system, where they are not there yet."""
    root.mkdir(parents=True, exist_ok=True)
    writers = {name: peer.write for name, peer in PEERS.items() if peer.write}
    missing = [name for name in (OURS, *writers) if not folder_of(root, name).exists()]
    if not missing:
        return
    real, recipe, weights = real_features(root, cut)
    for name in missing:
        print(f"writing for {name}", flush=True)
        partial = root / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        if name == OURS:
            write_store(partial, real, recipe, weights, rows)
        else:
            writers[name](real, rows, partial)
        partial.rename(folder_of(root, name))


def read_for(root: Path, name: str, workers: int, rows: int, seconds: float) -> float:
    """Rows a second of one system in this process, warmed up."""
    torch.set_num_threads(2)
    batches = PEERS[name].batches(folder_of(root, name), workers)
    features, labels = next(batches)
    if features.dtype != torch.float32 or labels.dtype != torch.int64 or len(features) != BATCH:
        raise SystemExit(f"{name} gave {features.dtype} {tuple(features.shape)} and {labels.dtype}")
    read, started = 0, time.perf_counter()
    while read < rows and time.perf_counter() < started + seconds:
        read += len(next(batches)[0])
    read, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        features, labels = next(batches)
        read += len(features)
    return read / (time.perf_counter() - started)


def first_batch(root: Path, share: float) -> float:
    """Seconds from ``load_state_dict`` to the first batch at some share of an epoch, shards not opened yet."""
    from hapistore_torch import FeaturePipe

    pipe = FeaturePipe(open_many(folder_of(root, OURS)), batch_size=BATCH)
    steps = int(len(pipe) * share)
    state = pipe.state_after(steps, epoch=0)
    started = time.perf_counter()
    pipe.load_state_dict(state)
    next(iter(pipe))
    return time.perf_counter() - started


def measure(root: Path, rows: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Every system in turn, with the number of loader workers that suits it best."""
    workers = {name: _best_workers(root, name, rows, seconds) for name in PEERS}
    rates: dict[str, list[float]] = {name: [] for name in PEERS}
    for number in range(rounds):
        for name in PEERS if number % 2 else reversed(PEERS):
            rates[name].append(_in_process(root, name, workers[name], rows, seconds))
            print(f"{name}: {rates[name][-1]:,.0f} rows/s", flush=True)
    ours = rates[OURS]
    return {
        "rows_per_second": {name: spread(values) for name, values in rates.items()},
        "ours_of": {name: spread([a / b for a, b in zip(ours, v, strict=True)]) for name, v in rates.items()},
        "workers": workers,
        "settings": {name: peer.settings for name, peer in PEERS.items()},
        "loaders": [name for name, peer in PEERS.items() if peer.loader],
        "buckets": [name for name, peer in PEERS.items() if peer.buckets and name != OURS],
        "bytes": {name: _size(folder_of(root, name)) for name, peer in PEERS.items() if name == OURS or peer.write},
    }


def _best_workers(root: Path, name: str, rows: int, seconds: float) -> int:
    choices = PEERS[name].workers
    if len(choices) == 1:
        return choices[0]
    return max(choices, key=lambda workers: _in_process(root, name, workers, rows, seconds))


def _in_process(root: Path, name: str, workers: int, rows: int, seconds: float) -> float:
    what = ["--one", name, "--workers", str(workers), "--rows", str(rows), "--seconds", str(seconds)]
    return float(_run(root, what))


def _run(root: Path, arguments: list[str]) -> Any:
    command = [sys.executable, "-m", "benchmarks.read", "--root", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--folder", type=Path, help="where to work; features written there are used again")
    for hidden in ("--one", "--root", "--workers", "--rows", "--first"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        root = Path(options.root)
        print(json.dumps(read_for(root, options.one, int(options.workers), int(options.rows), options.seconds)))
        return
    if options.first:
        print(json.dumps(first_batch(Path(options.root), float(options.first))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        results: dict[str, Any] = {}
        for case, (cut, rows) in CASES.items():
            root = (options.folder or Path(temporary)) / case
            write_all(root, cut, rows)
            results[case] = {"rows": rows, **measure(root, rows, options.rounds, options.seconds)}
        root = (options.folder or Path(temporary)) / "pooled"
        firsts: dict[str, list[float]] = {str(share): [] for share in _POSITIONS}
        for _ in range(options.rounds):
            for share, values in firsts.items():
                values.append(_run(root, ["--first", share]))
        results["first_batch_seconds"] = {share: spread(values) for share, values in firsts.items()}
    print(write_result("read", results, packages=_PACKAGES))


if __name__ == "__main__":
    main()
