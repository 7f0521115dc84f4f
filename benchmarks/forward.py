"""What executors are worth: images per second of a frozen prefix, ``python -m benchmarks.forward``.

EfficientNet-Lite0 (its ImageNet weights), ResNet-50 and ViT-B/16 (random weights), all at 224 pixels, on real
photographs. All executors of a network are made first, then run in turn, so that what slows the machine down slows
all of them. Needs ``pip install '.[cpu,onnx,demo,dev]'`` and a C++ compiler. About fifteen minutes on two cores.
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import hapistore as hs
from hapistore.extraction.executors import EagerExecutor, Executor
from hapistore.extraction.executors.agreement import compare
from hapistore.extraction.executors.candidates import CANDIDATES
from hapistore.models import Prefix

from .environment import spread, write_result
from .torchvision_shim import import_torchvision

NETWORKS = {
    "efficientnet_lite0": "pretrained",
    "torchvision/resnet50": "random",
    "torchvision/vit_b_16": "random",
}
_BATCH = 16
_COMPARED = 4


def photographs(prefix: Prefix, count: int) -> np.ndarray:
    """uint8 [count, height, width, 3]: the 20 ImageNet photographs of foolbox, then again from the first."""
    spec = find_spec("foolbox")
    assert spec is not None
    assert spec.origin is not None
    files = sorted(Path(spec.origin).parent.glob("data/imagenet_*.jpg"))
    return np.stack([prefix.preprocess(files[number % len(files)].read_bytes()) for number in range(count)])


def make_all(prefix: Prefix, pixels: np.ndarray) -> tuple[dict[str, Executor], dict[str, dict[str, Any]]]:
    """Every executor there is in every precision, by name; seconds to make it, and how near it is to eager float32."""
    expected = EagerExecutor(prefix).run(pixels[:_COMPARED])
    made: dict[str, Executor] = {}
    found: dict[str, dict[str, Any]] = {}
    for candidate in reversed(CANDIDATES):
        for precision in candidate.precisions:
            label = f"{candidate.label} {precision}"
            if reason := candidate.missing():
                found[label] = {"missing": reason}
                continue
            started = time.perf_counter()
            executor = candidate.open(prefix, precision)
            agreement = compare(executor.run(pixels[:_COMPARED]), expected)
            found[label] = {"prepare_s": time.perf_counter() - started, **vars(agreement)}
            executor.run(pixels)
            made[label] = executor
    return made, found


def measure(name: str, weights: str, rounds: int) -> dict[str, Any]:
    """Every executor in turn, so many times."""
    prefix = hs.load_backbone(name, weights=weights).prefix("pool")
    pixels = photographs(prefix, _BATCH)
    made, found = make_all(prefix, pixels)
    taken: dict[str, list[float]] = {label: [] for label in made}
    for _ in range(rounds):
        for label, executor in made.items():
            started = time.perf_counter()
            executor.run(pixels)
            taken[label].append(time.perf_counter() - started)
    for label, seconds in taken.items():
        found[label]["images_per_s"] = spread([len(pixels) / second for second in seconds])
        ratios = [eager / second for eager, second in zip(taken["torch f32"], seconds, strict=True)]
        found[label]["of_eager"] = spread(ratios)
    return {"weights": weights, "batch": _BATCH, "executors": found}


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    import_torchvision()
    networks = {name: measure(name, weights, rounds) for name, weights in NETWORKS.items()}
    packages = ["onnx", "onnxruntime", "onnxscript", "torchvision"]
    print(write_result("forward", {"networks": networks}, packages=packages))


if __name__ == "__main__":
    main()
