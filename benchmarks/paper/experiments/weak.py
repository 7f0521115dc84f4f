"""A storage tier that has little of its core: where the planner cuts then, and what cutting at the freeze point costs.

A unit is the storage tier's share of a core, of which the object store and the service live. The paper's VGG-19 ran at
half the speed of BASELINE, for its rule knows of no such thing. Systems: BASELINE; one epoch and twenty by the cuts
that the planner chooses for so many; one epoch by features of the freeze point.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..bench import Bench, gathered, in_turn
from ..data import photographs
from ..ledger import Ledger
from ..networks import NETWORKS
from ..ratios import EPOCHS
from ..scale import Scale
from ..tiers import two_tiers
from .models import STORED_EPOCHS, batch_size

SETTINGS = ("rounds",)
NETWORK, LINK_MBIT_S = "alexnet", 1000


def run(folder: Path, scale: Scale, ledger: Ledger) -> None:
    """Measure every share that is not there yet."""
    before = os.environ["XDG_CACHE_HOME"]
    for share in scale.weak_shares:
        if not ledger.has(f"{share:g}"):
            # What was measured of a whole core is no use here.
            os.environ["XDG_CACHE_HOME"] = str(folder / f"weak-{share:g}" / "cache")
            ledger.measure(f"{share:g}", lambda share=share: _share(folder, share, scale))
    os.environ["XDG_CACHE_HOME"] = before


def _share(folder: Path, share: float, scale: Scale) -> dict[str, Any]:
    images = NETWORKS[NETWORK].images
    with two_tiers(
        folder / f"weak-{share:g}", photographs(folder, [images]), store=scale.stores[0], link_mbit_s=LINK_MBIT_S,
        storage_share=share,
    ) as tiers:  # fmt: skip
        return _measured(Bench(tiers, folder, NETWORK, f"photos-{images}", batch_size(images)), scale.rounds)


def _measured(bench: Bench, rounds: int) -> dict[str, Any]:
    plans = bench.plan(LINK_MBIT_S, {"once": {"epochs": 1}, "often": {"epochs": EPOCHS}})
    chosen = {use: plan["index"] for use, plan in plans.items()}
    bench.tell([*chosen.values(), bench.freeze_index])
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "baseline": bench.baseline,
        "once": lambda: bench.stored(chosen["once"], 1),
        "stored": lambda: bench.stored(chosen["often"], STORED_EPOCHS),
        "freeze": lambda: bench.stored(bench.freeze_index, 1),
    }
    bench.baseline()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in in_turn(list(ways), number):
            runs[name].append(ways[name]())
            print(f"  {name} {runs[name][-1]}", flush=True)
    return {
        "images": bench.rows,
        "freeze_index": bench.freeze_index,
        "plans": plans,
        "systems": {name: gathered(all_, bench.rows) for name, all_ in runs.items()},
    }
