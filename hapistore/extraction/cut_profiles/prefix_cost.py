"""What a prefix costs where it runs: time, memory, and its features in each codec."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
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
class PrefixCost:
    """One prefix, measured.

    Attributes:
        seconds: an image's time in the network, one figure a run.
        fixed_s: until the executor was there, checked.
        memory_fixed_bytes, memory_bytes_per_image: of an extraction batch of n: ``fixed + n * per image``.
        codecs: by spec string; features: float32 [n, *shape], of the images it was measured with.
        executor: what ran it, for people.
    """

    seconds: tuple[float, ...]
    fixed_s: float
    memory_fixed_bytes: float
    memory_bytes_per_image: float
    codecs: dict[str, CodecCost]
    features: np.ndarray
    executor: str


def prefix_cost(
    prefix: Prefix,
    pixels: np.ndarray,
    codecs: Sequence[str],
    *,
    device: str | None,
    precision: str,
    again: bool = False,
) -> PrefixCost:
    """Run a prefix as an extraction would.

    Args:
        pixels: uint8 [n, height, width, 3].
        again: only its times are wanted.

    Raises:
        UsageError: there is no such device, precision or codec here. HapistoreError: the images do not pass.
    """
    began = time.perf_counter()
    choice = choose_executor(prefix, sample=pixels[:4], device=device, precision=precision)
    fixed_s = time.perf_counter() - began
    with closing(choice.executor) as executor:
        fixed, per_image = (0.0, 0.0) if again else _memory(executor, pixels[0])
        features, seconds = _run(executor, pixels)
    return PrefixCost(
        seconds=seconds,
        fixed_s=fixed_s,
        memory_fixed_bytes=fixed,
        memory_bytes_per_image=per_image,
        codecs={} if again else {codec: codec_cost(features, codec) for codec in codecs},
        features=features,
        executor=f"{executor.name} on {executor.device}",
    )


def _run(executor: Executor, pixels: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]]:
    features = executor.run(pixels)
    seconds = []
    for _ in range(_RUNS):
        began, images = time.perf_counter(), 0
        while time.perf_counter() - began < _LEAST_S:
            executor.run(pixels)
            images += len(pixels)
        seconds.append((time.perf_counter() - began) / images)
    return features, tuple(seconds)


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
