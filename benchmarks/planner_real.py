"""The planner against every candidate cut, measured: ``python -m benchmarks.planner_real``.

Two tiers on a core each: storage with a real SeaweedFS and the extraction, compute with the training, between them the
loopback device of a network namespace of its own, shaped (root, and iproute2). Four networks with real weights where
the package registry has them, else random ones, on photographs of the ELPV dataset. Of every candidate: the
extraction, and an epoch of training from a reader with nothing in memory yet, over each link. What training costs an
epoch is that and a share of the extraction; the planner, which has measured the network but not the training over the
link, chooses, and is judged by what was measured. Candidates near the best are measured again. About 45 minutes; needs
``pip install '.[cpu,demo,dev]'``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

import hapistore as hs
from hapistore.demo.photographs import write_manifest
from hapistore.planning import POLICIES, Resources, plan_split, profile_from_json, profile_to_json
from hapistore.prepare import PrepareOptions, plan_training, prepare_planned, prepare_training
from hapistore_torch import FeaturePipe

from .environment import RESULTS, read_result, write_result
from .planner_nets import NETWORKS, Net
from .stores import enter_namespace, reshape, shape

LINKS_MBIT = (50, 200, 1000)
STORAGE_CORE, COMPUTE_CORE = 0, 1
IMAGES, BATCH, EPOCHS = 96, 32, 5
AGAIN_WITHIN, AGAIN = 1.25, 2


def _on_core(core: int) -> None:
    """For a process of one tier."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)


def _options(net: Net, **more: Any) -> PrepareOptions:
    return PrepareOptions(
        name=net.name, preprocess=net.preprocess(), epochs=EPOCHS, batch_size=BATCH, freeze_until=net.freeze_until,
        freeze_all=net.freeze_until is None, cache_bytes=0, **more,
    )  # fmt: skip


def profiled(name: str, url: str) -> dict[str, Any]:
    """A network's profile, measured on this process's core; the link is not part of it."""
    net = NETWORKS[name]
    planned = plan_training(net.build(), hs.open_store(url), "cells", _options(net, link=1e9))
    return profile_to_json(planned.profile)


def extracted(name: str, url: str, index: int) -> float:
    """Seconds of having the features of a cut; where images are shipped there is nothing to have."""
    if index == 0:
        return 0.0
    net = NETWORKS[name]
    store, options = hs.open_store(url), _options(net, link=1e9, cut=index)
    planned = plan_training(net.build(), store, "cells", options)
    began = time.perf_counter()
    prepare_planned(planned, store, options)
    return time.perf_counter() - began


def trained(name: str, url: str, index: int, runs: int) -> list[float]:
    """Seconds of an epoch, from making a reader to the last step; each run with a reader of its own."""
    net = NETWORKS[name]
    prepared = prepare_training(net.build(), hs.open_store(url), "cells", _options(net, link=1e9, cut=index))
    _epoch(prepared, steps=1)  # the first step of a network pays for allocations
    return [_epoch(prepared) for _ in range(runs)]


def _epoch(prepared: Any, steps: int | None = None) -> float:
    tail = prepared.tail.train()
    optimiser = torch.optim.SGD([p for p in tail.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
    began = time.perf_counter()
    for step, (inputs, labels) in enumerate(FeaturePipe(prepared.view, batch_size=BATCH, seed=0)):
        if step == steps:
            break
        optimiser.zero_grad()
        nn.functional.cross_entropy(tail(inputs), labels).backward()
        optimiser.step()
    return time.perf_counter() - began


@dataclass
class Tiers:
    """The processes, and where each reaches the store."""

    storage: ProcessPoolExecutor
    compute: ProcessPoolExecutor
    direct: str
    shaped: str


def measure(tiers: Tiers, name: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Every candidate of a network over every link, and what the planner would have chosen."""
    profile = profile_from_json(tiers.compute.submit(profiled, name, tiers.direct).result())
    candidates = [cut.index for cut in profile.candidates]
    extraction = {i: tiers.storage.submit(extracted, name, tiers.direct, i).result() for i in candidates}
    say(f"{name}: {len(candidates)} candidates, extraction {', '.join(f'{s:.1f}' for s in extraction.values())} s")
    grids = []
    for link in LINKS_MBIT:
        reshape(link)
        epochs = {i: tiers.compute.submit(trained, name, tiers.shaped, i, 1).result() for i in candidates}
        for _ in range(2):  # the best may be another one after the first time
            totals = _totals(extraction, epochs)
            near = [i for i in candidates if totals[i] <= AGAIN_WITHIN * min(totals.values())]
            for index in near:
                if len(epochs[index]) == 1:
                    epochs[index] += tiers.compute.submit(trained, name, tiers.shaped, index, AGAIN).result()
        grids.append(_judged(profile, link, extraction, epochs))
        say(f"  {link} Mbit/s: {grids[-1]['policies']['cost']}")
    return {"network": name, "weights": NETWORKS[name].weights, "profile": profile_to_json(profile), "grids": grids}


def _totals(extraction: dict[int, float], epochs: dict[int, list[float]]) -> dict[int, float]:
    return {index: median(runs) + extraction[index] / EPOCHS for index, runs in epochs.items()}


def _judged(profile: Any, link: int, extraction: dict[int, float], epochs: dict[int, list[float]]) -> dict[str, Any]:
    totals = _totals(extraction, epochs)
    best = min(totals, key=lambda index: totals[index])
    resources = Resources(
        link_bytes_per_s=link * 1e6 / 8, batch_size=BATCH, epochs=EPOCHS, extracted_first=True, cache_bytes=0
    )
    policies = {}
    for policy in POLICIES:
        chosen = plan_split(profile, resources, policy).chosen
        index = chosen.cut.index
        spread = (max(epochs[best]) - min(epochs[best])) / totals[best]
        policies[policy] = {
            "index": index, "name": chosen.cut.name, "predicted_s": chosen.epoch_s, "measured_s": totals[index],
            "off_best": totals[index] / totals[best] - 1, "spread_of_best": spread,
        }  # fmt: skip
    predicted = {one.cut.index: one.epoch_s for one in plan_split(profile, resources).candidates}
    measured = [
        {"index": i, "epoch_s": epochs[i], "extraction_s": extraction[i], "predicted_s": predicted[i]} for i in totals
    ]
    return {"link_mbit_s": link, "best": best, "measured": measured, "policies": policies}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args(arguments)
    enter_namespace("benchmarks.planner_real")
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))
    from seaweedfs import seaweedfs, second_gateway

    os.sched_setaffinity(0, {STORAGE_CORE})  # the servers too
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        seaweedfs(Path(folder) / "weed") as server,
        second_gateway(server) as gateway,
    ):
        os.environ.update(server.environment, XDG_CACHE_HOME=folder)
        shape(int(gateway.endpoint.rpartition(":")[2]), LINKS_MBIT[0])
        store = hs.open_store(server.url("cells"))
        write_manifest(Path(folder) / "cells.csv", seed=0, limit=IMAGES)
        hs.ingest(store, "cells", hs.manifest(Path(folder) / "cells.csv"), hs.IngestOptions(shard_bytes=2 << 20))
        with (
            ProcessPoolExecutor(1, context, _on_core, (STORAGE_CORE,)) as storage,
            ProcessPoolExecutor(1, context, _on_core, (COMPUTE_CORE,)) as compute,
        ):
            tiers = Tiers(storage, compute, server.url("cells"), gateway.url("cells"))
            for name in options.networks:
                keep(measure(tiers, name, lambda text: print(text, flush=True)))


def keep(found: dict[str, Any]) -> None:
    """Write what was found of a network, beside what is known of others by the same settings."""
    settings = {"images": IMAGES, "batch_size": BATCH, "epochs": EPOCHS}
    known = read_result("planner_real") if (RESULTS / "planner_real.json").exists() else {}
    others = known.get("networks", []) if {name: known.get(name) for name in settings} == settings else []
    by_name = {one["network"]: one for one in [*others, found]}
    result = {**settings, "networks": [by_name[name] for name in NETWORKS if name in by_name]}
    print(write_result("planner_real", result, packages=["torchvision", "timm"]))


if __name__ == "__main__":
    main()
