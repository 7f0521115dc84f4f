"""Run time and bytes by network and by link: every system.

A unit is a network on a store. The planner chooses for one epoch and for twenty; HAPI's rule for one. The service is
told of these cuts and loads them before the clock starts, and features are removed before each first epoch. The paper
trains one epoch; over twenty, BASELINE's epochs are alike, so one stands for each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...stores import reshape
from ..bench import HAPI_CODEC, Bench, gathered, in_turn
from ..data import photographs
from ..ledger import Ledger
from ..networks import NETWORKS
from ..ratios import ALL_SYSTEMS_MBIT_S, EPOCHS
from ..scale import Scale
from ..tiers import two_tiers

SETTINGS = ("rounds", "stores", "whole", "whole_stores", "links_mbit_s")
STORED_EPOCHS = 3


def run(folder: Path, scale: Scale, ledger: Ledger) -> None:
    """Measure every network that is not there yet."""
    for store in scale.stores:
        chosen = scale.whole if store in scale.whole_stores else scale.whole[:1]
        missing = [name for name in chosen if not ledger.has(f"{name} {store}")]
        if not missing:
            continue
        fill = photographs(folder, [NETWORKS[name].images for name in missing])
        with two_tiers(folder / f"models-{store}", fill, store=store, link_mbit_s=ALL_SYSTEMS_MBIT_S) as tiers:
            for name in missing:
                images = NETWORKS[name].images
                bench = Bench(tiers, folder, name, f"photos-{images}", batch_size(images))
                measure = _whole if store in scale.whole_stores else _pair
                ledger.measure(
                    f"{name} {store}",
                    lambda bench=bench, measure=measure: {**measure(bench, scale), "memcached": bench.tiers.memcached},
                )


def batch_size(images: int) -> int:
    """Of a small epoch: two steps at least."""
    return max(1, min(128, images // 2))


def _whole(bench: Bench, scale: Scale) -> dict[str, Any]:
    """All systems, over all links."""
    cuts = _cuts(bench, scale.links_mbit_s)
    bench.tell([index for by_use in cuts["chosen"].values() for index in by_use.values()])
    return {**measured(bench, scale.rounds, scale.links_mbit_s, cuts["chosen"]), **cuts}


def _pair(bench: Bench, scale: Scale) -> dict[str, Any]:
    return pair(bench, scale.rounds, (ALL_SYSTEMS_MBIT_S,))


def pair(bench: Bench, rounds: int, links: tuple[int, ...]) -> dict[str, Any]:
    """BASELINE and features stored at the freeze point, without a plan."""
    chosen = {str(link): {"once": bench.freeze_index, "often": bench.freeze_index} for link in links}
    bench.tell([bench.freeze_index])
    return {**measured(bench, rounds, links, chosen), "chosen": chosen}


def _cuts(bench: Bench, links: tuple[int, ...]) -> dict[str, Any]:
    """What is chosen over each link: by the planner for one epoch, for twenty, and for features made anew; by HAPI."""
    uses: dict[str, dict[str, Any]] = {
        "once": {"epochs": 1},
        "often": {"epochs": EPOCHS},
        "streaming": {"augmented": True},
    }
    chosen: dict[str, dict[str, int]] = {}
    plans: dict[str, Any] = {}
    for link in links:
        wanted = uses if link == ALL_SYSTEMS_MBIT_S else {name: uses[name] for name in ("once", "often")}
        cuts = bench.plan(link, wanted)
        chosen[str(link)] = {use: cut["index"] for use, cut in cuts.items()}
        plans |= {f"{use} {link}": {"cut": cut["cut"], "epoch_s": cut["epoch_s"]} for use, cut in cuts.items()}
        if link == ALL_SYSTEMS_MBIT_S:
            chosen[str(link)]["hapi"] = bench.hapi_cut(link)
    return {"chosen": chosen, "plans": plans}


def measured(bench: Bench, rounds: int, links: tuple[int, ...], chosen: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Systems in turn, each round in another order; the first run of all, untimed, warms up."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    bench.baseline()
    for number in range(rounds):
        for link in links:
            reshape(link)
            ways = _ways(bench, chosen[str(link)], whole=link == ALL_SYSTEMS_MBIT_S and "hapi" in chosen[str(link)])
            for name in in_turn(list(ways), number):
                figures = ways[name]()
                found.setdefault(str(link), {}).setdefault(name, []).append(figures)
                print(f"  {bench.network} {link} {name} {figures}", flush=True)
    return {
        "images": bench.rows,
        "batch_size": bench.batch_size,
        "freeze_index": bench.freeze_index,
        "links": {
            link: {name: gathered(runs, bench.rows) for name, runs in by_name.items()}
            for link, by_name in found.items()
        },
    }


def _ways(bench: Bench, chosen: dict[str, int], *, whole: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "baseline": bench.baseline,
        "stored": lambda: bench.stored(chosen["often"], STORED_EPOCHS),
    }
    if chosen["once"] != chosen["often"]:
        ways["once"] = lambda: bench.stored(chosen["once"], 1)
    if whole:
        ways |= {
            "all_in_cos": bench.all_in_cos,
            "hapi": lambda: bench.streaming(chosen["hapi"], HAPI_CODEC),
            "streaming": lambda: bench.streaming(chosen["streaming"]),
            "script": lambda: bench.script("eager f32", STORED_EPOCHS),
        }
    return ways
