"""The systems that are compared, each as a training run in the process of a tier.

All train the same tail with the same optimiser, in training batches of the same size, on one core. A run gives the
seconds of each of its epochs, what comes before the first step included; networks are loaded before. They are:

- baseline: images cross the link, the next training batch prefetched; the compute tier runs everything, in eager
  float32 as people write it, or by hapistore's own fastest executor. On the storage tier it is ALL_IN_COS.
- script: it extracts once to a .npy file, and trains from that.
- served: features come from the service: hapistore's, and HAPI's by the rules of HAPI.
- together: both tiers extract, each its share by `hapistore extract --share`; then features come from the store.
- shipped: hapistore's reading of images, where its planner says that these be shipped.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import hapistore as hs
from hapistore import Preprocess, View
from hapistore.extraction import ExtractResult, Share
from hapistore.extraction.executors import EagerExecutor, Executor, OpenVINOExecutor
from hapistore.extraction.executors.inductor import InductorExecutor
from hapistore.images import with_decoder
from hapistore.models import WholeNetwork
from hapistore.service.client import connect
from hapistore_torch import FeaturePipe, ImagePipe

from .loading import Images
from .networks import cut_at, traced

SCRIPT_BATCH, MOST_TENANTS = 32, 20
STREAMED_AUGMENTATION = "flip"
"""So that features of an epoch are good for no other one, and are computed anew."""
Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is trained.

    Attributes:
        network: by name. index: of the cut; 0: none. epochs: that are trained.
        tenant: whose tail it is; each has one of its own.
    """

    network: str
    index: int
    batch_size: int
    epochs: int = 1
    tenant: int = 0


def at_once(ways: Sequence[tuple[Callable[..., list[float]], tuple[Any, ...]]]) -> list[float]:
    """Tenants at once, on a thread each; the seconds until the last has ended."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(ways)) as pool:
        for done in [pool.submit(way, *about) for way, about in ways]:
            done.result()
    return [time.perf_counter() - began]


def train(batches: Batches, tail: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """One epoch; how many images came."""
    images = 0
    for inputs, labels in batches:
        optimiser.zero_grad()
        nn.functional.cross_entropy(tail(inputs), labels).backward()
        optimiser.step()
        images += len(labels)
    return images


def baseline(run: Run, images: Images, executor: str, seed: int) -> list[float]:
    """Seconds of each epoch from images.

    Args:
        run: cut at the freeze point. executor: ``eager f32``, ``openvino f32`` or ``openvino bf16``.
    """
    preprocess = _preprocess(run, executor)
    runs, tail, optimiser = _executor(run.network, run.index, executor), *_trained(run)

    def features(epoch: int) -> Batches:
        order = np.random.default_rng((seed, epoch)).permutation(images.numbers)
        for pixels, labels in images.batches(preprocess, run.batch_size, order.tolist()):
            yield torch.from_numpy(runs.run(pixels)), torch.from_numpy(labels)

    return _timed(run, len(images.numbers), features, tail, optimiser)


def script(run: Run, images: Images, executor: str, seed: int) -> list[float]:
    """Seconds of each epoch of the script that extracts once to .npy; the first with the extraction."""
    preprocess = _preprocess(run, executor)
    tail, optimiser = _trained(run)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "features.npy")

        def features(epoch: int) -> Batches:
            if epoch == 0:
                runs = _executor(run.network, run.index, executor)
                found = [runs.run(pixels) for pixels, _ in images.batches(preprocess, SCRIPT_BATCH, images.numbers)]
                np.save(path, np.concatenate(found))
            stored, labels = np.load(path), np.array(images.labels)[images.numbers]
            order = np.random.default_rng((seed, epoch)).permutation(len(labels))
            for start in range(0, len(order), run.batch_size):
                chosen = order[start : start + run.batch_size]
                yield torch.from_numpy(stored[chosen]), torch.from_numpy(labels[chosen])

        return _timed(run, len(images.numbers), features, tail, optimiser)


def served(run: Run, service: str, dataset: str, rows: int, recipe: str, codec: str, number: int | None) -> list[float]:
    """Seconds of each epoch from features of the service.

    Args:
        number: None: features are stored, by one pipe over all epochs; else of the one epoch, whose features are
            computed for it and not kept.
    """
    streamed = {} if number is None else {"keep": False, "augmentation": STREAMED_AUGMENTATION, "epoch": number}
    with connect(service) as client:
        return _piped(run, rows, lambda: client.view(dataset, recipe=recipe, codec=codec, **streamed))  # type: ignore[arg-type]


def together(run: Run, store: str, dataset: str, rows: int, precision: str, codec: str) -> list[float]:
    """Seconds of each epoch from features of the store; the first with this tier's share of the extraction."""

    def view() -> View:
        found = extracted(run, store, dataset, precision, codec, Share(number=2, of=2))
        return hs.open_view(hs.open_store(store), dataset, recipe=found.recipe.digest, codec=codec)

    return _piped(run, rows, view)


def extracted(run: Run, store: str, dataset: str, precision: str, codec: str, share: Share) -> ExtractResult:
    """A tier's share of an extraction."""
    prefix = cut_at(run.network, run.index).prefix
    assert prefix is not None
    options = hs.ExtractOptions(precision=precision, executor="openvino", share=share)
    return hs.extract(hs.open_store(store), dataset, prefix, codecs=[codec], options=options)


def _piped(run: Run, rows: int, open_view: Callable[[], View]) -> list[float]:
    """Seconds of each epoch by one pipe over all; opening the view is part of the first."""
    tail, optimiser = _trained(run)
    pipe: FeaturePipe | None = None

    def features(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        nonlocal pipe
        if pipe is None:
            pipe = FeaturePipe(open_view(), batch_size=run.batch_size, shuffle="window", seed=0)
        yield from pipe

    seconds = _timed(run, rows, features, tail, optimiser)
    assert pipe is not None
    pipe.close()
    return seconds


def shipped(run: Run, service: str, dataset: str, rows: int) -> list[float]:
    """Seconds of each epoch from images that hapistore ships; what is frozen is run by PyTorch, as `offload` has it."""
    network, preprocess = traced(run.network)
    preprocess = with_decoder(preprocess, "fast")
    tail = WholeNetwork(network.whole(), preprocess, torch.device("cpu"))
    optimiser = _optimiser(tail)
    with connect(service) as client:
        pipe = ImagePipe(client, dataset, preprocess=preprocess, batch_size=run.batch_size, shuffle="window", seed=0)
        seconds = _timed(run, rows, lambda epoch: pipe, tail, optimiser)
        pipe.close()
    return seconds


def _timed(
    run: Run, rows: int, features: Callable[[int], Batches], tail: nn.Module, optimiser: torch.optim.Optimizer
) -> list[float]:
    seconds = []
    for epoch in range(run.epochs):
        began = time.perf_counter()
        images = train(features(epoch), tail, optimiser)
        seconds.append(time.perf_counter() - began)
        if images != rows:
            raise RuntimeError(f"{images} images came of {rows}")
    return seconds


def _trained(run: Run) -> tuple[nn.Module, torch.optim.Optimizer]:
    tail = _tail(run.network, run.index, run.tenant)
    return tail, _optimiser(tail)


@lru_cache(maxsize=MOST_TENANTS)
def _tail(network: str, index: int, tenant: int) -> nn.Module:
    return copy.deepcopy(cut_at(network, index).tail)


def _optimiser(tail: nn.Module) -> torch.optim.Optimizer:
    tail.train()
    return torch.optim.SGD([p for p in tail.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)


def _preprocess(run: Run, executor: str) -> Preprocess:
    """By Pillow for the script that people write; by the fast decoders where hapistore's executor is given."""
    _, preprocess = traced(run.network)
    return with_decoder(preprocess, "fast" if executor.startswith("openvino") else "pillow")


@lru_cache(maxsize=4)  # compiled once, before it is timed
def _executor(network: str, index: int, name: str) -> Executor:
    prefix = cut_at(network, index).prefix
    assert prefix is not None
    kind, precision = name.split()
    if kind == "eager":
        return EagerExecutor(prefix, "cpu", precision)
    return (OpenVINOExecutor if kind == "openvino" else InductorExecutor)(prefix, precision)
