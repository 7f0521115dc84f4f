"""Run time, and memory on both tiers, by training batch.

A unit is a training batch, an epoch of one or more of them, with AlexNet, the paper's lightest. Networks are loaded
before the clock starts; peaks of memory begin at what the processes have when a run begins, and count libraries and
weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...environment import spread
from ..bench import HAPI_CODEC, Bench, gathered, in_turn
from ..data import photographs
from ..ledger import Ledger
from ..memory import peak_bytes, reset_peaks, tree
from ..scale import Scale
from ..tiers import two_tiers

SETTINGS = ("rounds", "batches", "batch_images")
NETWORK, LINK_MBIT_S, EPOCHS = "alexnet", 1000, 2


def run(folder: Path, scale: Scale, ledger: Ledger) -> None:
    """Measure every training batch that is not there yet."""
    missing = [batch for batch in scale.batches if not ledger.has(str(batch))]
    if not missing:
        return
    images = {batch: max(batch, scale.batch_images) for batch in missing}
    fill = photographs(folder / "batches", list(images.values()))
    with two_tiers(folder / "batches", fill, store=scale.stores[0], link_mbit_s=LINK_MBIT_S) as tiers:
        recipes: dict[int, str] = {}
        for batch in missing:
            bench = Bench(tiers, folder / "batches", NETWORK, f"photos-{images[batch]}", batch, recipes=recipes)
            bench.tell([bench.freeze_index])
            ledger.measure(str(batch), lambda bench=bench: _batch(bench, scale.rounds))


def _batch(bench: Bench, rounds: int) -> dict[str, Any]:
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "baseline": bench.baseline,
        "hapi": lambda: bench.streaming(bench.freeze_index, HAPI_CODEC),
        "stored": lambda: bench.stored(bench.freeze_index, EPOCHS),
    }
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in in_turn(list(ways), number):
            runs[name].append(_with_memory(bench, ways[name]))
            print(f"  batch {bench.batch_size} {name} {runs[name][-1]}", flush=True)
    return {
        "images": bench.rows,
        "systems": {
            name: {
                **gathered(all_, bench.rows),
                **{tier: spread([one[tier] for one in all_]) for tier in ("compute_bytes", "storage_bytes")},
            }
            for name, all_ in runs.items()
        },
    }


def _with_memory(bench: Bench, way: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A run, and the peaks of the process that trains and of the service with its own."""
    compute, service = [bench.tiers.compute.submit(os.getpid).result()], tree([bench.tiers.service_pid])
    bench.tiers.compute.submit(_give_back).result()
    reset_peaks([*compute, *service])
    found = way()
    return {**found, "compute_bytes": peak_bytes(compute), "storage_bytes": peak_bytes(service)}


def _give_back() -> None:
    """What earlier runs left in the C library's hands."""
    import ctypes
    import gc

    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
