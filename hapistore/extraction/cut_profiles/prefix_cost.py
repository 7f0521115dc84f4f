"""What a prefix costs where it runs: time, memory, and its features in each codec."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np

from hapistore_format import FeatureShardReader, write_feature_shard

from ...models import Prefix
from ...planning import CodecCost
from ..executors import Executor, choose_executor
from ..probing import probe_executor

_RUNS, _LEAST_S = 5, 0.1
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, kw_only=True)
class PrefixTimes:
    """One prefix, run.

    Attributes:
        seconds: an image's time in the network, one figure a run.
        fixed_s: until the executor was there, checked.
        features: float32 [n, *shape], of the images it was measured with.
        executor: what ran it, for people.
    """

    seconds: tuple[float, ...]
    fixed_s: float
    features: np.ndarray
    executor: str


@dataclass(frozen=True, kw_only=True)
class PrefixCost:
    """One prefix, measured in every way.

    Attributes:
        memory_fixed_bytes, memory_bytes_per_image: of an extraction batch of n: ``fixed + n * per image``.
        codecs: by spec string.
    """

    times: PrefixTimes
    memory_fixed_bytes: float
    memory_bytes_per_image: float
    codecs: dict[str, CodecCost]


def prefix_cost(
    prefix: Prefix, pixels: np.ndarray, codecs: Sequence[str], *, device: str | None, precision: str
) -> PrefixCost:
    """Run a prefix as an extraction would, and look what it takes.

    Args:
        pixels: uint8 [n, height, width, 3].

    Raises:
        UsageError: there is no such device, precision or codec here. HapistoreError: the images do not pass.
    """
    with _opened(prefix, pixels, device, precision) as (executor, fixed_s):
        fixed, per_image = _memory(executor, pixels[0])
        times = _run(executor, pixels, fixed_s)
    return PrefixCost(
        times=times,
        memory_fixed_bytes=fixed,
        memory_bytes_per_image=per_image,
        codecs={codec: codec_cost(times.features, codec) for codec in codecs},
    )


def prefix_times(prefix: Prefix, pixels: np.ndarray, *, device: str | None, precision: str) -> PrefixTimes:
    """As `prefix_cost`, of one that was measured before: how long it takes this time."""
    with _opened(prefix, pixels, device, precision) as (executor, fixed_s):
        return _run(executor, pixels, fixed_s)


@contextmanager
def _opened(prefix: Prefix, pixels: np.ndarray, device: str | None, precision: str) -> Iterator[tuple[Executor, float]]:
    """Its executor, and the seconds until it was there."""
    began = time.perf_counter()
    choice = choose_executor(prefix, sample=pixels[:4], device=device, precision=precision)
    fixed_s = time.perf_counter() - began
    with closing(choice.executor) as executor:
        yield executor, fixed_s


def _run(executor: Executor, pixels: np.ndarray, fixed_s: float) -> PrefixTimes:
    features = executor.run(pixels)
    seconds = []
    for _ in range(_RUNS):
        began, images = time.perf_counter(), 0
        while time.perf_counter() - began < _LEAST_S:
            executor.run(pixels)
            images += len(pixels)
        seconds.append((time.perf_counter() - began) / images)
    name = f"{executor.name} on {executor.device}"
    return PrefixTimes(seconds=tuple(seconds), fixed_s=fixed_s, features=features, executor=name)


def _memory(executor: Executor, image: np.ndarray) -> tuple[float, float]:
    """The straight line through the model's bounds at one image and at many."""
    few, many = 1, 8
    model = probe_executor(executor, image, budget_bytes=executor.idle_bytes() + executor.free_bytes()).model
    each = max(0.0, (model.upper_bytes(many) - model.upper_bytes(few)) / (many - few))
    return executor.idle_bytes() + model.upper_bytes(few) - few * each, each


def codec_cost(features: np.ndarray, codec: str) -> CodecCost:
    """A codec on features: float32 [n, *shape]; the best of some runs, as one thread of an extraction does it."""
    write_s, read_s = [], []
    out = np.empty_like(features)
    for _ in range(_RUNS):
        began = time.perf_counter()
        data = write_feature_shard(features, codec=codec, recipe=_NO_DIGEST, images=_NO_DIGEST, provenance={})
        written = time.perf_counter()
        FeatureShardReader(data, where=codec).features(out)
        write_s.append(written - began)
        read_s.append(time.perf_counter() - written)
    rows = len(features)
    return CodecCost(
        bytes_per_image=len(data) / rows,
        storage_s_per_image=min(write_s) / rows,
        compute_s_per_image=min(read_s) / rows,
    )
