"""Training over a slow link, three ways, and what a service lets through: ``python -m benchmarks.two_tier``.

Two tiers on a core each: storage with a real SeaweedFS and ``hapistore serve``, compute with the training; between them
the loopback device of a network namespace of its own, shaped (root, and iproute2). 256 photographs, EfficientNet-Lite0
with its ImageNet weights up to its pooled features, a linear tail. An epoch is from opening the dataset to the last
step, with nothing in the reader's memory from the one before:

- images: the images cross the link, and the compute tier runs the prefix itself, through OpenVINO;
- streaming: features of a new random variant of each image, made for that epoch and not kept;
- first: features of the images, none of which is there yet; stored: all are there.

Parts: ``epochs`` of these over each link, ``loopback``: stored features through the service at the speed of the
machine, no link shaped, and ``fill``: how much of 1 Gbit/s they fill. Needs ``pip install '.[bench,cpu,serve,dev]'``.
Twenty minutes.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

import hapistore as hs
from hapistore.catalog import resolve_version
from hapistore.catalog.names import images_name
from hapistore.extraction.executors import OpenVINOExecutor
from hapistore.models import Prefix
from hapistore.service.client import connect
from hapistore_torch import FeaturePipe, ImagePipe

from .environment import RESULTS, read_result, spread, write_result
from .photographs import CLASSES, write_photographs
from .read_cold import upload
from .service_process import SERVERS, port_of, service
from .stores import enter_namespace, link_bytes, reshape, shape, shape_too
from .two_tier_through import fill_link, measure_loopback, write_features

LINKS_MBIT, FILLED_MBIT = (50, 200, 1000), 1000
STORAGE_CORE, COMPUTE_CORE = 0, 1
IMAGES, BATCH, CODEC, AUGMENTATION = 256, 32, "u8c+zstd", "crop,flip"
SHARD_BYTES = 2 << 20
PARTS = ("loopback", "epochs", "fill")
NETWORK, CUT, DATASET = "efficientnet_lite0", "pool", "photos"
_READING: dict[str, Any] = {"batch_size": BATCH, "shuffle": "window", "seed": 0}
Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Behind:
    """What the compute tier reaches over the link: URLs of the service, and of the store by a gateway of its own."""

    service: str
    gateway: str


def _on_core(core: int) -> None:
    """For a process of one tier."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)


@lru_cache(maxsize=1)
def _prefix() -> Prefix:
    return hs.load_backbone(NETWORK).prefix(CUT)


@lru_cache(maxsize=1)
def _executor() -> OpenVINOExecutor:
    return OpenVINOExecutor(_prefix(), "f32")


def _images(behind: Behind, number: int) -> Batches:
    pipe = ImagePipe(hs.open_store(behind.gateway), DATASET, preprocess=_prefix().preprocess, **_READING)
    for pixels, labels in pipe:
        yield torch.from_numpy(_executor().run(pixels.numpy())), labels
    pipe.close()


def _features(behind: Behind, number: int, **of_view: Any) -> Batches:
    with connect(behind.service) as client:
        pipe = FeaturePipe(client.view(DATASET, recipe=NETWORK, codec=CODEC, **of_view), **_READING)
        yield from pipe
        pipe.close()


def _streaming(behind: Behind, number: int) -> Batches:
    return _features(behind, number, keep=False, augmentation=AUGMENTATION, epoch=number)


WAYS: dict[str, Callable[[Behind, int], Batches]] = {
    "images": _images,
    "streaming": _streaming,
    "first": _features,
    "stored": _features,
}


def register(behind: Behind) -> None:
    """Tell the service of the network."""
    with connect(behind.service) as client:
        client.register(NETWORK, cut=CUT)


def train(way: str, behind: Behind, number: int) -> dict[str, float]:
    """An epoch: its seconds, and what crossed the link, both ways, headers included."""
    before, began = link_bytes(), time.perf_counter()
    tail = nn.Linear(_prefix().feature_shape[0], CLASSES)
    optimiser = torch.optim.SGD(tail.parameters(), lr=1e-3, momentum=0.9)
    images = 0
    for features, labels in WAYS[way](behind, number):
        optimiser.zero_grad()
        nn.functional.cross_entropy(tail(features), labels).backward()
        optimiser.step()
        images += len(labels)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "bytes_per_image": (link_bytes() - before) / images, "images": images}


def measure_epochs(
    compute: ProcessPoolExecutor, behind: Behind, url: str, rounds: int, links: Sequence[int]
) -> dict[str, Any]:
    """Every way in turn over every link.

    Args:
        url: of the store, beside it.
    """
    compute.submit(register, behind).result()
    store = hs.open_store(url)
    version = resolve_version(store, DATASET)
    stored = sum(store.head(images_name(shard.images, shard.layout)).bytes for shard in version.shards)
    found: dict[str, dict[str, list[dict[str, float]]]] = {str(link): {way: [] for way in WAYS} for link in LINKS_MBIT}
    numbers = itertools.count()  # of epochs: the variants of one may still be in the service's memory
    for number in range(rounds + 1):
        for link, by_way in found.items() if number else [list(found.items())[-1]]:
            reshape(int(link))
            for way in _turns(number):
                if way == "first":
                    for info in list(store.list("features/")):
                        store.delete(info.name)
                figures = compute.submit(train, way, behind, next(numbers)).result()
                if (images := figures.pop("images")) != version.rows:
                    raise SystemExit(f"{way}: {images} images came of {version.rows}")
                if number:  # the first round warms up: networks are loaded, executors measured
                    by_way[way].append(figures)
                    print(link, way, figures, flush=True)
    return {
        "images": version.rows,
        "batch_size": BATCH,
        "codec": CODEC,
        "image_bytes": stored / version.rows,
        "links": {
            link: {way: {name: spread([one[name] for one in runs]) for name in runs[0]} for way, runs in ways.items()}
            for link, ways in found.items()
        },
    }


def _turns(number: int) -> list[str]:
    """Ways in the order of a round, each time another; features are stored by the way before."""
    groups = [["images"], ["streaming"], ["first", "stored"]]
    at = number % len(groups)
    return [way for group in groups[at:] + groups[:at] for way in group]


def measure_tiers(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The parts that need two tiers."""
    sys.path.insert(0, str(SERVERS))
    from seaweedfs import seaweedfs, second_gateway

    found: dict[str, Any] = {}
    os.sched_setaffinity(0, {STORAGE_CORE})  # the servers too
    spawn = multiprocessing.get_context("spawn")
    with (
        seaweedfs(folder / "weed") as server,
        second_gateway(server) as gateway,
        ProcessPoolExecutor(1, spawn, _on_core, (COMPUTE_CORE,)) as compute,
    ):
        os.environ.update(server.environment)
        shape(port_of(gateway.endpoint), FILLED_MBIT)
        if "epochs" in options.parts:
            write_photographs(folder / "photographs", options.images)
            store = hs.open_store(server.url("photos"))
            hs.ingest(
                store, DATASET, hs.image_folder(folder / "photographs"), hs.IngestOptions(shard_bytes=SHARD_BYTES)
            )
            with service(server.url("photos"), folder / "photos.log") as url:
                shape_too(port_of(url))
                behind = Behind(url, gateway.url("photos"))
                found["epochs"] = measure_epochs(compute, behind, server.url("photos"), options.rounds, options.links)
        if "fill" in options.parts:
            names = write_features(folder / "many", options.rows, "f16")
            upload(folder / "many", hs.open_store(server.url("many")))
            with service(server.url("many"), folder / "many.log") as url:
                shape_too(port_of(url))
                reshape(FILLED_MBIT)
                filling = compute.submit(fill_link, url, gateway.url("many"), names, FILLED_MBIT, options.rounds)
                found["fill"] = filling.result()
    return found


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--links", nargs="+", type=int, default=list(LINKS_MBIT), metavar="MBIT")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--rows", type=int, default=60_000, help="of the features that pass through")
    options = parser.parse_args()
    enter_namespace("benchmarks.two_tier")
    found = read_result("two_tier") if (RESULTS / "two_tier.json").exists() else {}
    found.pop("environment", None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        if "loopback" in options.parts:
            found["loopback"] = measure_loopback(folder / "loopback", options.rows, options.rounds)
        if set(options.parts) - {"loopback"}:
            found |= measure_tiers(folder, options)
    print(write_result("two_tier", found, packages=["obstore"]))


if __name__ == "__main__":
    main()
