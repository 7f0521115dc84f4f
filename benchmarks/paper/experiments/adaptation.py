"""What adapting the extraction batch is worth: a storage tier with little memory, with it and without.

A unit is a training batch. Without adaptation the storage tier runs its part on as many images at once as the training
takes, as a split network without the second half of HAPI would; with it, in batches that fit. Each is a process of its
own in a control group whose limit the kernel enforces (root), on AlexNet by the same executor.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import hapistore as hs
from hapistore.extraction.executors import OpenVINOExecutor

from ...control_group import MemoryGroup, memory_group
from ...photographs import write_photographs
from ..ledger import Ledger
from ..networks import cut_at, traced
from ..scale import Scale
from ..tiers import STORAGE_CORE

SETTINGS = ("fixed_batches", "adaptation_rounds")
NETWORK, LIMIT_BYTES, PHOTOGRAPHS = "alexnet", 2 << 30, 256
OF_LIMIT = 0.9
"""What hapistore is told of the limit; the rest is for what it does not count, such as the kernel's own."""
KILLED = -9


def run(folder: Path, scale: Scale, ledger: Ledger) -> None:
    """Measure every training batch that is not there yet."""
    missing = [batch for batch in scale.fixed_batches if not ledger.has(str(batch))]
    if missing:
        write_photographs(folder / "adaptation", PHOTOGRAPHS)
        hs.ingest(hs.open_store(folder / "adaptation-store"), "photos", hs.image_folder(folder / "adaptation"))
    for batch in missing:
        ledger.measure(str(batch), lambda batch=batch: _both(folder, batch, scale))


def _both(folder: Path, batch: int, scale: Scale) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {"fixed": [], "adapted": []}
    for _ in range(scale.adaptation_rounds):
        for way, found in runs.items():
            found.append(_in_group(way, folder, batch))
            print(f"  training batch {batch} {way} {found[-1]}", flush=True)
    return {"limit_bytes": LIMIT_BYTES, **runs}


def _in_group(way: str, folder: Path, batch: int) -> dict[str, Any]:
    """Images a second and the extraction batch, with no features stored; or that it was killed."""
    shutil.rmtree(folder / "adaptation-store" / "features", ignore_errors=True)
    with memory_group(LIMIT_BYTES) as group:
        command = [sys.executable, "-m", "benchmarks.paper.experiments.adaptation", way, str(folder), str(batch)]
        done = group.run(command)
        return _judged(done.returncode, done.stdout, done.stderr, group)


def _judged(status: int, output: str, errors: str, group: MemoryGroup) -> dict[str, Any]:
    if status == KILLED and group.kills:
        return {"killed": True}
    if status:
        raise SystemExit(f"the extraction failed ({status}): {errors[-2000:]}")
    return {"killed": False, **json.loads(output.splitlines()[-1])}


def fixed(folder: Path, batch: int) -> dict[str, Any]:
    """Extract one training batch at once, of the photographs again and again."""
    cut = cut_at(NETWORK, traced(NETWORK)[0].freeze_index)
    assert cut.prefix is not None
    executor = OpenVINOExecutor(cut.prefix, "f32")
    paths = sorted((folder / "adaptation").rglob("*.jpg"))
    shown = np.stack([cut.prefix.preprocess(path.read_bytes()) for path in paths[:batch]])
    executor.run(shown[:1])
    began = time.perf_counter()
    executor.run(np.concatenate([shown] * -(-batch // len(shown)))[:batch])
    return {"batch": batch, "images_per_s": batch / (time.perf_counter() - began)}


def adapted(folder: Path) -> dict[str, Any]:
    """Extract all photographs: what adapts knows nothing of training batches."""
    cut = cut_at(NETWORK, traced(NETWORK)[0].freeze_index)
    assert cut.prefix is not None
    options = hs.ExtractOptions(executor="openvino", memory_bytes=round(OF_LIMIT * LIMIT_BYTES))
    found = hs.extract(
        hs.open_store(folder / "adaptation-store"), "photos", cut.prefix, codecs=["f32"], options=options
    )
    return {"batch": found.batch, "images_per_s": found.images / found.stage_seconds["forward"]}


if __name__ == "__main__":
    os.sched_setaffinity(0, {STORAGE_CORE})
    at = Path(sys.argv[2])
    print(json.dumps(adapted(at) if sys.argv[1] == "adapted" else fixed(at, int(sys.argv[3]))))
