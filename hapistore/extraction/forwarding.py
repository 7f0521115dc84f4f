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
from .trace import Trace

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
        trace: Trace,
    ) -> None:
        self._store, self._preprocess = store, prefix.preprocess
        self._threads, self._trace = decode_threads, trace
        sample = np.stack(list(islice(self._pixels(shards[:1]), _SAMPLE_IMAGES)))
        self.choice = choose_executor(
            prefix,
            executor,
            sample=sample,
            device=device,
            precision=precision,
            images=sum(shard.rows for shard in shards),
        )
        self._runner = BatchRunner(
            self.choice.executor, budget_bytes=memory_bytes or default_budget(), max_batch=max_batch, trace=trace
        )
        self.provenance = {**self.choice.provenance, **_versions()}
        self._ahead = self._pixels(shards)

    @property
    def batch(self) -> int:
        """Largest extraction batch that ran."""
        return self._runner.largest_batch

    @property
    def peak_bytes(self) -> int:
        """Highest memory use of any batch."""
        return self._runner.peak_bytes

    def next_shard(self, rows: int, out: np.ndarray, on_rows: Callable[[int], None]) -> None:
        """Features of the next shard, in the shards' order.

        Args:
            rows: of that shard.
            out: float32 [at least rows, *shape], filled.
            on_rows: called with the rows of each extraction batch that is done.
        """
        done = 0
        for batch in self._runner.run(islice(self._ahead, rows)):
            out[done : done + len(batch)] = batch
            done += len(batch)
            on_rows(len(batch))

    def _pixels(self, shards: Sequence[ShardRef]) -> Iterator[np.ndarray]:
        return decode_shards(self._store, shards, self._preprocess, threads=self._threads, trace=self._trace)


def _versions() -> dict[str, Any]:
    """Versions of what had a hand in the values."""
    found = {}
    for name in ("hapistore", "torch", "openvino", "onnxruntime", "pillow"):
        try:
            found[name] = installed_version(name)
        except PackageNotFoundError:
            continue
    return {"versions": found}
