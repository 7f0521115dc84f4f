"""The frozen prefix over whole image shards: decoding on threads ‖ the forward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from itertools import chain, islice
from statistics import median_low

import numpy as np

from hapistore_format import Recipe

from ..models import AnyPrefix
from ..stores import ObjectStore
from .bad_images import BadImage
from .batching import BatchRunner
from .executors import ChildExecutor, Executor, ExecutorChoice, choose_executor
from .options import ExtractOptions
from .pixels import ShardPixels, decode_shards
from .profiles import ProfileKey
from .trace import Trace

# What executors are compared on, and how many images are looked at for as many good ones.
_SAMPLE_IMAGES, _MOST_TAKEN = 4, 64
# Of what is free; the rest is a reserve for the rest of the machine, which is not still either.
_DEFAULT_SHARE = 0.8


class Forward:
    """One prefix on one executor, and the image shards it is to run over.

    Args:
        choice: of an extraction's earlier shards; None: an executor is chosen now.

    Attributes:
        choice: the executor, which whoever made this closes, and why it is this one; provenance: the same for feature
            shards, with versions.
    """

    def __init__(
        self,
        store: ObjectStore,
        recipe: Recipe,
        prefix: AnyPrefix,
        wanted: Sequence[ShardPixels],
        *,
        options: ExtractOptions,
        trace: Trace,
        choice: ExecutorChoice | None = None,
    ) -> None:
        decoded = decode_shards(store, wanted, prefix.preprocess, threads=options.decode_threads, trace=trace)
        first: list[np.ndarray | BadImage] = []
        if choice is None:
            first, sample = _sample(decoded, prefix)
            choice = choose_executor(
                prefix,
                options.executor,
                sample=sample,
                device=options.device,
                precision=recipe.precision,
                images=sum(shard.rows * len(variants) for shard, variants in wanted),
                child=options.child,
                memory_bytes=options.memory_bytes,
            )
        self.choice = choice
        self._decoded, self._ahead = decoded, chain(first, decoded)
        versions = versions_of_libraries()
        # No batch has images of two shards: of one that few can fill the search would wait for ever for news.
        most = median_low(shard.rows * len(variants) for shard, variants in wanted)
        executor = self._executor = choice.executor
        self._restarts_before = _restarts(executor)
        self._runner = BatchRunner(
            executor,
            budget_bytes=options.memory_bytes or executor.idle_bytes() + int(_DEFAULT_SHARE * executor.free_bytes()),
            max_batch=min(options.max_batch, most),
            profile_key=_profile_key(recipe, self.choice, versions),
            trace=trace,
        )
        self.provenance = {**self.choice.provenance, "versions": versions}

    @property
    def batch(self) -> int:
        """Largest extraction batch that ran."""
        return self._runner.largest_batch

    @property
    def peak_bytes(self) -> int:
        """Highest memory use of any batch."""
        return self._runner.peak_bytes

    @property
    def restarts(self) -> int:
        """How often the executor's process was started again."""
        return _restarts(self._executor) - self._restarts_before

    def next_shard(
        self, rows: int, out: Sequence[np.ndarray], on_rows: Callable[[int], None]
    ) -> list[dict[int, BadImage]]:
        """Features of the next shard, in the shards' order.

        Args:
            rows: of that shard.
            out: for each of its variants float32 [at least rows, *shape], filled but for the rows that have none.
            on_rows: called with the images of each extraction batch that is done.

        Returns:
            of each variant, the rows that have none.
        """
        count = len(out)
        for numbers, batch in self._runner.run(islice(self._ahead, rows * count)):
            for variant, room in enumerate(out):
                chosen = numbers % count == variant if count > 1 else slice(None)
                room[numbers[chosen] // count] = batch[chosen]
            on_rows(len(batch))
        failed = self._runner.failed
        if failed:
            on_rows(len(failed))
        return [{n // count: bad for n, bad in failed.items() if n % count == variant} for variant in range(count)]

    def close(self) -> None:
        """Decode no more."""
        self._decoded.close()


def _sample(
    ahead: Iterator[np.ndarray | BadImage], prefix: AnyPrefix
) -> tuple[list[np.ndarray | BadImage], np.ndarray]:
    """What was taken from a stream, and its first good images: uint8 [n, height, width, 3], black if there is none."""
    taken: list[np.ndarray | BadImage] = []
    good: list[np.ndarray] = []
    for item in islice(ahead, _MOST_TAKEN):
        taken.append(item)
        if not isinstance(item, BadImage):
            good.append(item)
        if len(good) == _SAMPLE_IMAGES:
            break
    return taken, np.stack(good or [np.zeros(prefix.pixel_shape, np.uint8)])


def _profile_key(recipe: Recipe, choice: ExecutorChoice, versions: Mapping[str, str]) -> ProfileKey:
    where = " in a child" if isinstance(choice.executor, ChildExecutor) else ""
    return ProfileKey(
        program=recipe.digest,
        precision=recipe.precision,
        executor=f"{choice.label}{where}",
        device=choice.executor.device,
        versions=versions,
    )


def _restarts(executor: Executor) -> int:
    return executor.restarts if isinstance(executor, ChildExecutor) else 0


@functools.cache  # looking them up takes milliseconds
def versions_of_libraries() -> Mapping[str, str]:
    """Versions of what had a hand in the values."""
    found = {}
    for name in ("hapistore", "torch", "openvino", "onnxruntime", "pillow"):
        try:
            found[name] = installed_version(name)
        except PackageNotFoundError:
            continue
    return found
