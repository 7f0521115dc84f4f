"""Tenants at once: all train on the same dataset, each its own tail; the time until the last has ended.

A unit is a number of tenants, with AlexNet. BASELINE and ALL_IN_COS run each tenant's epoch on their tier, HAPI
extracts for each anew; hapistore's tenants share what is extracted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..bench import HAPI_CODEC, Bench, gathered, in_turn
from ..data import photographs
from ..ledger import Ledger
from ..scale import Scale
from ..tiers import two_tiers

SETTINGS = ("rounds", "tenants")
NETWORK, LINK_MBIT_S, IMAGES, BATCH = "alexnet", 1000, 24, 12


def run(folder: Path, scale: Scale, ledger: Ledger) -> None:
    """Measure every number of tenants that is not there yet."""
    missing = [count for count in scale.tenants if not ledger.has(str(count))]
    if not missing:
        return
    fill = photographs(folder / "tenants", [IMAGES])
    with two_tiers(folder / "tenants", fill, store=scale.stores[0], link_mbit_s=LINK_MBIT_S) as tiers:
        bench = Bench(tiers, folder / "tenants", NETWORK, f"photos-{IMAGES}", BATCH)
        bench.tell([bench.freeze_index])
        for count in missing:
            ledger.measure(str(count), lambda count=count: _tenants(bench, count, scale.rounds))


def _tenants(bench: Bench, count: int, rounds: int) -> dict[str, Any]:
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "baseline": lambda: bench.baseline(tenants=count),
        "all_in_cos": lambda: bench.all_in_cos(tenants=count),
        "hapi": lambda: bench.streaming(bench.freeze_index, HAPI_CODEC, tenants=count),
        "stored": lambda: bench.stored(bench.freeze_index, 1, tenants=count),
    }
    for warm in ("stored", "all_in_cos", "hapi"):  # every tenant has a tail by then, on each tier
        ways[warm]()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in in_turn(list(ways), number):
            runs[name].append(ways[name]())
            print(f"  {count} tenants {name} {runs[name][-1]}", flush=True)
    return {"images_each": bench.rows, "systems": {name: gathered(all_, bench.rows) for name, all_ in runs.items()}}
