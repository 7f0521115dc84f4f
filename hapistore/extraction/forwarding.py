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
from .bad_images import BadImage
from .batching import BatchRunner
from .executors import ChildExecutor, Executor, open_executor
from .memory import default_budget
from .pixels import decode_shards

_SAMPLE_IMAGES = 4


class Forward:
    """One prefix on one executor, and the image shards it is to run over.

    Attributes:
        description: executor and device, for people; provenance: the same for feature shards, with versions.
    """

    def __init__(
        self,
        store: ObjectStore,
        prefix: Prefix,
        shards: Sequence[ShardRef],
        *,
        executor: str,
        device: str | None,
        memory_bytes: int | None,
        max_batch: int,
        decode_threads: int,
        child: bool = False,
    ) -> None:
        self._store, self._shards, self._preprocess = store, shards, prefix.preprocess
        self._threads = decode_threads
        good = (pixels for pixels in self._pixels(shards[:1]) if not isinstance(pixels, BadImage))
        sample = np.stack(list(islice(good, _SAMPLE_IMAGES)) or [np.zeros(prefix.preprocess.pixel_shape, np.uint8)])
        self._executor: Executor
        if child:
            self._executor = ChildExecutor(prefix, executor, sample=sample, device=device, memory_bytes=memory_bytes)
        else:
            self._executor = open_executor(prefix, executor, sample=sample, device=device)
        # Touched now and reused for every shard, so that its memory is part of what stands still.
        self._features = np.zeros((max(shard.rows for shard in shards), *prefix.feature_shape), np.float32)
        self._features.fill(0)
        budget = memory_bytes or default_budget(self._executor.idle_bytes() if child else None)
        self._runner = BatchRunner(self._executor, budget_bytes=budget, max_batch=max_batch)
        self.description = f"{self._executor.name} on {self._executor.device}"
        self.provenance = {"executor": self._executor.name, "device": self._executor.device, **_versions()}

    @property
    def batch(self) -> int:
        """Largest extraction batch that ran."""
        return self._runner.largest_batch

    @property
    def restarts(self) -> int:
        """How often the executor's process was started again."""
        return self._executor.restarts if isinstance(self._executor, ChildExecutor) else 0

    @property
    def peak_bytes(self) -> int:
        """Highest memory use of any batch."""
        return self._runner.peak_bytes

    def close(self) -> None:
        """End the executor."""
        self._executor.close()

    def shards(self, on_rows: Callable[[int], None]) -> Iterator[tuple[np.ndarray, dict[int, BadImage]]]:
        """Features of each shard in order: float32 [rows, *shape], overwritten by the next; and rows that have none.

        Args:
            on_rows: called with the rows of each extraction batch that is done.
        """
        pixels = self._pixels(self._shards)
        for shard in self._shards:
            for rows, batch in self._runner.run(islice(pixels, shard.rows)):
                self._features[rows] = batch
                on_rows(len(batch))
            if self._runner.failed:
                on_rows(len(self._runner.failed))
            yield self._features[: shard.rows], self._runner.failed

    def _pixels(self, shards: Sequence[ShardRef]) -> Iterator[np.ndarray | BadImage]:
        return decode_shards(self._store, shards, self._preprocess, threads=self._threads)


def _versions() -> dict[str, Any]:
    """Versions of what had a hand in the values."""
    found = {}
    for name in ("hapistore", "torch", "openvino", "pillow"):
        try:
            found[name] = installed_version(name)
        except PackageNotFoundError:
            continue
    return {"versions": found}
