"""Twenty epochs on real photographs with real weights: hapistore, BASELINE, and the script that extracts once.

hapistore twice: the storage tier alone extracts, or both tiers do, each its share. ELPV's photographs and
EfficientNet-Lite0 with its ImageNet weights; a unit is a link. BASELINE and the script run in eager float32, as people
write them; BASELINE also by hapistore's fastest executor, and the script by Inductor, both in bf16, as hapistore, where
the processor has units for it, else in float32. All but hapistore run on ``epochs_images`` photographs, which stand for
all of them. Networks are loaded and compiled before the clock starts, which spares the script most. The unit
``accuracy`` is of linear probes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hapistore as hs
from hapistore.service.client import connect

from ... import probe
from ...environment import has_bf16, spread
from ...stores import reshape
from ..bench import STORED_CODEC, Bench, gathered, in_turn
from ..data import WARM, elpv
from ..ledger import Ledger
from ..networks import ELPV
from ..ratios import EPOCHS, OURS
from ..scale import Scale
from ..tiers import Tiers, two_tiers

SETTINGS = ("rounds", "epochs_images")
NETWORK, BATCH = ELPV.name, 128
LINKS_MBIT_S = (100, 1000)
ACCURACY, _SEED = "accuracy", 0
PRECISION = "bf16" if has_bf16() else "f32"
_OPENVINO, _INDUCTOR = f"openvino {PRECISION}", f"inductor {PRECISION}"
_WARM_IMAGES = 32


def run(folder: Path, scale: Scale, ledger: Ledger) -> None:
    """Measure every link that is not there yet, and the accuracy."""
    units = [*(f"{link} Mbit/s" for link in LINKS_MBIT_S), ACCURACY]
    if all(map(ledger.has, units)):
        return
    with two_tiers(folder / "epochs", elpv(folder), store=scale.stores[0], link_mbit_s=LINKS_MBIT_S[0]) as tiers:
        bench = Bench(tiers, folder, NETWORK, "elpv", BATCH)
        began = time.perf_counter()
        bench.tell([bench.freeze_index], precision=PRECISION)
        loading_s = time.perf_counter() - began
        for link in LINKS_MBIT_S:
            ledger.measure(f"{link} Mbit/s", lambda link=link: {**_link(bench, link, scale), "told_s": loading_s})
        ledger.measure(ACCURACY, lambda: _accuracy(tiers, bench))


def _link(bench: Bench, link: int, scale: Scale) -> dict[str, Any]:
    reshape(link)
    few = scale.epochs_images
    ways = {
        "baseline": lambda: bench.baseline(few=few),
        "baseline fast": lambda: bench.baseline(_OPENVINO, few=few),
        "script": lambda: bench.script("eager f32", EPOCHS, few=few),
        "script fast": lambda: bench.script(_INDUCTOR, EPOCHS, few=few),
        "stored": lambda: bench.stored(bench.freeze_index, EPOCHS),
        "again": lambda: bench.again(bench.freeze_index),
        "together": lambda: bench.together(bench.freeze_index, EPOCHS, PRECISION),
    }
    bench.baseline(_OPENVINO, few=_WARM_IMAGES)  # compiled on its first use
    bench.script(_INDUCTOR, 1, few=_WARM_IMAGES)
    bench.extract_together(WARM, bench.freeze_index, PRECISION)
    names = [name for name in ways if name != "again"]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for number in range(scale.rounds):
        for name in in_turn(names, number):
            runs[name].append(ways[name]())
            if name == "stored":
                runs["again"].append(ways["again"]())
            print(f"  {link} {name} {runs[name][-1]['epochs_s'][:2]}", flush=True)
    theirs = bench.rows / (few or bench.rows)
    used = {name: 1.0 if name in (*OURS, "again") else theirs for name in ways}
    return {
        "images": bench.rows,
        "precision": PRECISION,
        "epochs": EPOCHS,
        "one_of": used,
        "systems": {name: gathered(all_, round(bench.rows / used[name])) for name, all_ in runs.items()},
        "total_s": {
            name: spread([_total_s(one["epochs_s"], used[name]) for one in all_]) for name, all_ in runs.items()
        },
        "ratios": _ratios(runs, used),
    }


def _total_s(epochs_s: Sequence[float], one_of: float) -> float:
    """Of all epochs, on all images: where one epoch was run, each is like it."""
    return one_of * (sum(epochs_s) if len(epochs_s) > 1 else EPOCHS * epochs_s[0])


def _ratios(runs: dict[str, list[dict[str, Any]]], used: dict[str, float]) -> dict[str, Any]:
    """How many times as fast hapistore was, round by round; and how many fewer bytes came an epoch."""
    found: dict[str, list[float]] = {}
    for number, stored in enumerate(runs["stored"]):
        for name, one_of in used.items():
            if name not in (*OURS, "again"):
                theirs = _total_s(runs[name][number]["epochs_s"], one_of)
                for own in OURS:
                    ours = _total_s(runs[own][number]["epochs_s"], 1)
                    found.setdefault(f"{own} against {name}", []).append(theirs / ours)
        epoch_s = runs["baseline"][number]["epochs_s"][0] * used["baseline"]
        found.setdefault("later epoch against baseline", []).append(epoch_s / float(np.mean(stored["epochs_s"][1:])))
        again = runs["again"][number]
        found.setdefault("epoch over the link against baseline", []).append(epoch_s / again["epochs_s"][0])
        size = runs["baseline"][number]["bytes"] * used["baseline"]
        found.setdefault("bytes an epoch over the link", []).append(size / again["bytes"])
        for own in OURS:
            found.setdefault(f"bytes over all epochs, {own}", []).append(EPOCHS * size / runs[own][number]["bytes"])
    return {name: spread(values) for name, values in found.items()}


def _accuracy(tiers: Tiers, bench: Bench) -> dict[str, Any]:
    """Of linear probes on what is trained from, and on exact float32 features; the same folds for both."""
    exact = bench.extract_together("elpv", bench.freeze_index, "f32", "f32")
    scores = {}
    for name, recipe, codec in (("f32", exact, "f32"), ("stored", bench.recipes[bench.freeze_index], STORED_CODEC)):
        with connect(tiers.service) as client:
            view = client.view("elpv", recipe=recipe, codec=codec)
            options = hs.ReadOptions(shuffle="none", batch_size=bench.rows)
            batch = next(iter(hs.FeatureReader(view, options).epoch(0)))
        assert batch.targets is not None
        scores[name] = probe.accuracies(batch.features, batch.targets, _SEED)
    lost = 100 * (scores["f32"] - scores["stored"])
    return {
        **{name: float(of_folds.mean()) for name, of_folds in scores.items()},
        "points_below": float(lost.mean()),
        "standard_error_points": float(lost.std(ddof=1) / np.sqrt(len(lost))),
        "folds": len(lost),
    }
