"""Extraction beside what people write, to features on the disk: ``python -m benchmarks.extract``.

EfficientNet-Lite0 (its ImageNet weights), ResNet-50 and ViT-B/16 (random weights), pooled, on the ELPV photographs
(PNG, 300 x 300) and on JPEGs like ImageNet's (500 x 375, cut from PyPI ``mvtb-data``). All systems of a case run in
turn in one process, each over as many images as take it about ten seconds (hapistore: twenty); before that each ran
once, so networks are loaded, executors chosen. hapistore's time is that of ``extract``: reading image shards, decoding,
the forward pass, encoding, storing. "Bare forward" is the same executor over pixels that are in memory, in batches of
the size that ``extract`` settled on. Needs ``pip install '.[cpu,onnx,images,demo,dev,bench]'``; about half an hour on
two cores.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import hapistore as hs
from hapistore.demo.photographs import write_manifest
from hapistore.extraction.executors import choose_executor
from hapistore.stores import FolderStore

from .environment import spread, write_result
from .extract_peers import PEERS
from .photographs import write_photographs
from .torchvision_shim import import_torchvision

BARE, PLAIN = "bare forward", "plain script"
CASES = (
    ("efficientnet_lite0", "pretrained", "ELPV"),
    ("efficientnet_lite0", "pretrained", "JPEGs"),
    ("torchvision/resnet50", "random", "JPEGs"),
    ("torchvision/vit_b_16", "random", "JPEGs"),
)
# For hapistore longer, so that loading a network is as little of it as it is of thousands of images.
_SECONDS, _OURS_SECONDS, _FEWEST, _MOST = 10.0, 20.0, 24, 2_600
_TRIED = 32


@dataclass(frozen=True, kw_only=True)
class Ours:
    """One way to let hapistore extract."""

    precision: str
    decoder: str


OURS = {
    "hapistore, bf16": Ours(precision="bf16", decoder="pillow"),
    "hapistore, bf16, fast decoder": Ours(precision="bf16", decoder="fast"),
    "hapistore, f32": Ours(precision="f32", decoder="pillow"),
}
BEST = "hapistore, bf16, fast decoder"


class Case:
    """One network over one set of files."""

    def __init__(self, backbone: str, weights: str, files: Sequence[Path], folder: Path) -> None:
        self._backbone = hs.load_backbone(backbone, weights=weights)
        self._files, self._folder = files, folder
        self._prefixes = {one.decoder: self._backbone.prefix("pool", decoder=one.decoder) for one in OURS.values()}
        self._stores: set[Path] = set()
        self.batches: dict[str, int] = {}
        self.executors: dict[str, str] = {}

    @property
    def systems(self) -> dict[str, Callable[[int], float]]:
        """Each runs over so many images and returns its seconds."""
        return {
            **{name: partial(self._peer, name) for name in PEERS},
            **{name: partial(self._ours, name) for name in OURS},
            BARE: self._bare,
        }

    def _peer(self, name: str, images: int) -> float:
        with tempfile.TemporaryDirectory(dir=self._folder) as target:
            started = time.perf_counter()
            PEERS[name](self._prefixes["pillow"], self._files[:images], Path(target))
            return time.perf_counter() - started

    def _ours(self, name: str, images: int) -> float:
        ours, folder = OURS[name], self._store(images)
        shutil.rmtree(folder / "features", ignore_errors=True)
        store = FolderStore(folder)
        options = hs.ExtractOptions(precision=ours.precision)
        started = time.perf_counter()
        done = hs.extract(store, "photographs", self._prefixes[ours.decoder], options=options)
        seconds = time.perf_counter() - started
        if done.images != images or done.left_out:
            raise SystemExit(f"{name} extracted {done.images} of {images} images")
        self.batches[name], self.executors[name] = done.batch, done.executor
        return seconds

    def _bare(self, images: int) -> float:
        batch, prefix = self.batches[BEST], self._prefixes["fast"]
        pixels = np.stack([prefix.preprocess(path.read_bytes()) for path in self._files[:batch]])
        choice = choose_executor(prefix, "auto", sample=pixels[:4], precision="bf16", images=_MOST)
        with closing(choice.executor) as executor:
            executor.run(pixels)
            started = time.perf_counter()
            for _ in range(-(-images // batch)):
                executor.run(pixels)
            return (time.perf_counter() - started) * images / (-(-images // batch) * batch)

    def _store(self, images: int) -> Path:
        """A store of the first images, in shards of 8 MiB, since there are few."""
        folder = self._folder / f"store-{images}"
        if folder not in self._stores:
            table = self._folder / f"{images}.csv"
            with open(table, "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([["path"], *([str(path)] for path in self._files[:images])])
            options = hs.IngestOptions(shard_bytes=8 << 20)
            hs.ingest(FolderStore(folder), "photographs", hs.manifest(table), options)
            self._stores.add(folder)
        return folder


def measure(case: Case, available: int, rounds: int) -> dict[str, Any]:
    """Every system in turn."""
    systems = case.systems
    counts = {}
    for name, run in systems.items():
        run(_TRIED)
        rate = _TRIED / run(_TRIED)
        counts[name] = min(available, max(_FEWEST, round(rate * _SECONDS)))
        if name in OURS:
            rate = counts[name] / run(counts[name])
            counts[name] = min(available, round(rate * _OURS_SECONDS))
            run(counts[name])  # more than a few images: now the executor is measured and chosen
    rates: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(rounds):
        for name in systems if number % 2 else reversed(systems):
            rates[name].append(counts[name] / systems[name](counts[name]))
    return {
        "rates": {name: spread(values) for name, values in rates.items()},
        "of_plain": {name: _ratios(values, rates[PLAIN]) for name, values in rates.items()},
        "of_bare": {name: _ratios(values, rates[BARE]) for name, values in rates.items()},
        "images": counts,
        "batches": case.batches,
        "executors": case.executors,
    }


def _ratios(values: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    return spread([value / other for value, other in zip(values, others, strict=True)])


def files_of(data: str, folder: Path) -> list[Path]:
    """The photographs of a case."""
    if data == "JPEGs":
        jpegs = folder / f"photographs-{_MOST}"
        write_photographs(jpegs, _MOST)
        return sorted(jpegs.rglob("*.jpg"))
    table = folder / "elpv.csv"
    write_manifest(table, seed=0)
    with open(table, newline="", encoding="utf-8") as file:
        return [Path(row["path"]) for row in csv.DictReader(file)]


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; photographs made there are used again")
    parser.add_argument("--case", type=int, choices=range(len(CASES)), action="append", help="only these")
    options = parser.parse_args()
    import_torchvision()
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        for number in options.case or range(len(CASES)):
            backbone, weights, data = CASES[number]
            files = files_of(data, folder)
            with tempfile.TemporaryDirectory(dir=folder) as work:
                case = Case(backbone, weights, files, Path(work))
                found = measure(case, len(files), options.rounds)
            results.append({"backbone": backbone, "weights": weights, "data": data, **found})
            print(f"{backbone}, {data}: " + ", ".join(f"{n} {r['median']:.1f}" for n, r in found["rates"].items()))
    if not options.case:
        print(write_result("extract", {"cases": results}, packages=("torchvision", "onnxruntime")))


if __name__ == "__main__":
    main()
