"""The frozen prefix over whole image shards: decoding on threads ‖ the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from itertools import islice
from typing import Any

import numpy as np

from hapistore_format import ShardRef

from ..models import Prefix
from ..stores import ObjectStore
from .batching import BatchRunner
from .executors import choose_executor
from .memory import default_budget
from .pixels import decode_shards

_SAMPLE_IMAGES = 4


class Forward:
    """One prefix on one executor, and the image shards it is to run over.

    Attributes:
        choice: the executor, and why it is this one; provenance: the same for feature shards, with versions.
    """

    def __init__(
        self,
        store: ObjectStore,
        prefix: Prefix,
        shards: Sequence[ShardRef],
        *,
        executor: str,
        precision: str,
        device: str | None,
        memory_bytes: int | None,
        max_batch: int,
        decode_threads: int,
    ) -> None:
        self._store, self._shards, self._preprocess = store, shards, prefix.preprocess
        self._threads = decode_threads
        sample = np.stack(list(islice(self._pixels(shards[:1]), _SAMPLE_IMAGES)))
        self.choice = choose_executor(
            prefix,
            executor,
            sample=sample,
            device=device,
            precision=precision,
            images=sum(shard.rows for shard in shards),
        )
        self._executor = self.choice.executor
        # Touched now and reused for every shard, so that its memory is part of what stands still.
        self._features = np.zeros((max(shard.rows for shard in shards), *prefix.feature_shape), np.float32)
        self._features.fill(0)
        self._runner = BatchRunner(self._executor, budget_bytes=memory_bytes or default_budget(), max_batch=max_batch)
        self.provenance = {**self.choice.provenance, **_versions()}

    @property
    def batch(self) -> int:
        """Largest extraction batch that ran."""
        return self._runner.largest_batch

    @property
    def peak_bytes(self) -> int:
        """Highest memory use of any batch."""
        return self._runner.peak_bytes

    def shards(self, on_rows: Callable[[int], None]) -> Iterator[np.ndarray]:
        """Features of each shard in order: float32 [rows, *shape], overwritten by the next.

        Args:
            on_rows: called with the rows of each extraction batch that is done.
        """
        pixels = self._pixels(self._shards)
        for shard in self._shards:
            done = 0
            for batch in self._runner.run(islice(pixels, shard.rows)):
                self._features[done : done + len(batch)] = batch
                done += len(batch)
                on_rows(len(batch))
            yield self._features[: shard.rows]

    def _pixels(self, shards: Sequence[ShardRef]) -> Iterator[np.ndarray]:
        return decode_shards(self._store, shards, self._preprocess, threads=self._threads)


def _versions() -> dict[str, Any]:
    """Versions of what had a hand in the values."""
    found = {}
    for name in ("hapistore", "torch", "openvino", "onnxruntime", "pillow"):
        try:
            found[name] = installed_version(name)
        except PackageNotFoundError:
            continue
    return {"versions": found}
