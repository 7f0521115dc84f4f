"""Measuring a network at those of its cuts that are worth it."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch

from hapistore_format import get_codec

from ...errors import UsageError
from ...images import Preprocess
from ...models import (
    Cut,
    TracedNetwork,
    WholeNetwork,
    normalised,
    prefix_and_tail,
    seconds_at_cuts,
    training_seconds,
)
from ...planning import SHIP_IMAGES, CutProfile, ModelProfile, worth_measuring
from .prefix_cost import PrefixCost, prefix_cost, prefix_times
from .sample import ImageSample

_RUNS = 5


@dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """How to measure.

    Attributes:
        batch_size: of training batches; smaller ones are measured where these take long.
        codecs: spec strings, for what features take in each.
        precision: of the prefix, as in `ExtractOptions`; device: a torch device for it.
        decode_threads: how many images are decoded at once.
        at: index or name of a cut that is measured whether it is worth it or not.
    """

    batch_size: int = 256
    codecs: tuple[str, ...] = ("u8c+zstd",)
    precision: str = "f32"
    device: str | None = None
    decode_threads: int = field(default_factory=lambda: min(8, torch.get_num_threads()))
    at: int | str | None = None

    def __post_init__(self) -> None:
        for codec in self.codecs:
            get_codec(codec)
        if self.batch_size < 1 or self.decode_threads < 1:
            raise UsageError("the training batch and the number of decoding threads are at least 1")


def profile_cuts(
    network: TracedNetwork,
    sample: ImageSample,
    preprocess: Preprocess,
    options: ProfileOptions | None = None,
    *,
    name: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> ModelProfile:
    """Run each cut's prefix and tail on some images, and the whole network. Nothing of the network changes.

    Both tiers are this machine: the prefix as an extraction runs it, the tail by PyTorch where the network is.

    Args:
        name: the network's, in recipes.
        on_progress: called with (cuts measured, cuts in all).

    Raises:
        UsageError: an executor or codec is not there, or a prefix cannot run.
    """
    options = options or ProfileOptions()
    candidates = _candidates(network, sample, preprocess, options.at)
    profiler = _Profiler(network, sample, preprocess, options, name)
    # There and back: what disturbs the machine for a while then meets each cut once at most.
    for number, cut in enumerate([None, *candidates, *reversed(candidates), None]):
        profiler.measure(cut)
        if on_progress is not None:
            on_progress(number + 1, 2 * len(candidates) + 2)
    return ModelProfile(
        input_bytes_per_image=sample.bytes_per_image,
        freeze_index=network.freeze_index,
        images=sample.images,
        overlapped=True,
        cuts=(profiler.images(), *map(profiler.cut, candidates)),
        about={
            "model": name,
            "executor": profiler.executor,
            "compute device": str(network.device),
            "threads": str(torch.get_num_threads()),
        },
    )


def _candidates(network: TracedNetwork, sample: ImageSample, preprocess: Preprocess, at: int | str | None) -> list[Cut]:
    possible = network.cuts[: network.freeze_index]
    if not possible:
        return []
    images = normalised(torch.from_numpy(sample.pixels[:4]).to(network.device), preprocess)
    seconds = seconds_at_cuts(network, images)[: len(possible)]
    worth = worth_measuring([cut.bytes_per_image for cut in possible], seconds)
    return [cut for place, cut in enumerate(possible) if place in worth or at in (cut.index, cut.name)]


class _Profiler:
    """One network's measurements.

    Attributes:
        executor: what ran the prefixes, for people.
    """

    def __init__(
        self, network: TracedNetwork, sample: ImageSample, preprocess: Preprocess, options: ProfileOptions, name: str
    ) -> None:
        self._network, self._sample, self._preprocess = network, sample, preprocess
        self._options, self._name = options, name
        self._decode_s = decode_seconds(sample, preprocess, options.decode_threads)
        self._costs: dict[int, PrefixCost] = {}
        self._fixed_s: defaultdict[int, list[float]] = defaultdict(list)
        self._forward_s: defaultdict[int, list[float]] = defaultdict(list)
        self._train_s: defaultdict[int, list[float]] = defaultdict(list)
        self.executor = ""

    def measure(self, cut: Cut | None) -> None:
        """Run prefix and tail of a cut once more; without a cut, the whole network."""
        network, options, pixels = self._network, self._options, self._sample.pixels
        if cut is None:
            whole = WholeNetwork(network.whole(), self._preprocess, network.device)
            self._train_s[SHIP_IMAGES] += self._training(whole, torch.from_numpy(pixels))
            return
        prefix, tail = prefix_and_tail(network, cut.index, preprocess=self._preprocess, name=self._name)
        if cut.index in self._costs:
            times = prefix_times(prefix, pixels, device=options.device, precision=options.precision)
        else:
            cost = prefix_cost(prefix, pixels, options.codecs, device=options.device, precision=options.precision)
            self._costs[cut.index], times = cost, cost.times
        self.executor = times.executor
        self._fixed_s[cut.index].append(times.fixed_s)
        self._forward_s[cut.index] += times.seconds
        self._train_s[cut.index] += self._training(tail, torch.from_numpy(times.features))

    def images(self) -> CutProfile:
        """The whole network in the compute tier."""
        usual_s, high_s = usual_and_high(self._train_s[SHIP_IMAGES])
        return CutProfile(
            index=SHIP_IMAGES,
            name="images",
            bytes_per_image=self._sample.bytes_per_image,
            storage_s_per_image=0.0,
            compute_s_per_image=self._decode_s + usual_s,
            compute_s_high=self._decode_s + high_s,
        )

    def cut(self, cut: Cut) -> CutProfile:
        """What was measured of a cut."""
        cost = self._costs[cut.index]
        forward_s, forward_high_s = usual_and_high(self._forward_s[cut.index])
        train_s, train_high_s = usual_and_high(self._train_s[cut.index])
        return CutProfile(
            index=cut.index,
            name=cut.name,
            bytes_per_image=cut.bytes_per_image,
            storage_s_per_image=self._decode_s + forward_s,
            storage_s_high=self._decode_s + forward_high_s,
            compute_s_per_image=train_s,
            compute_s_high=train_high_s,
            storage_fixed_s=min(self._fixed_s[cut.index]),
            memory_fixed_bytes=cost.memory_fixed_bytes,
            memory_bytes_per_image=cost.memory_bytes_per_image,
            codecs=cost.codecs,
        )

    def _training(self, tail: torch.nn.Module, inputs: torch.Tensor) -> Sequence[float]:
        return training_seconds(tail, inputs.to(self._network.device), batch_size=self._options.batch_size)


def decode_seconds(sample: ImageSample, preprocess: Preprocess, threads: int) -> float:
    """Seconds an image takes to be decoded, all threads together."""
    seconds = []
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        for _ in range(_RUNS):
            began = time.perf_counter()
            list(pool.map(preprocess, sample.encoded))
            seconds.append((time.perf_counter() - began) / len(sample.encoded))
    return usual_and_high(seconds)[0]


def usual_and_high(seconds: Sequence[float]) -> tuple[float, float]:
    """The first quartile, and the most of the faster half: other work on a machine only ever slows a run."""
    faster = sorted(seconds)[: -(-len(seconds) // 2)]
    return statistics.median(faster), faster[-1]
