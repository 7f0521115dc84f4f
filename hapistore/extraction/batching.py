"""Running extraction batches whose size follows the memory there is, without losing a row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import numpy as np

from ..errors import HapistoreError, OutOfMemory
from ..planning import BatchGrowth
from ..units import format_bytes
from .executors import Executor
from .trace import Trace


class BatchRunner:
    """Feeds one executor.

    Args:
        budget_bytes: what the executor's device (on a CPU: the process) may occupy at its peak.
        max_batch: largest extraction batch. trace: takes a span for each batch.
    """

    def __init__(self, executor: Executor, *, budget_bytes: int, max_batch: int, trace: Trace | None = None) -> None:
        self._executor, self._trace = executor, trace or Trace()
        self._growth = BatchGrowth(budget_bytes=budget_bytes, idle_bytes=executor.idle_bytes(), max_batch=max_batch)
        self.largest_batch = 0
        self.peak_bytes = 0

    def run(self, pixels: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Features of all pixels (uint8 [height, width, 3] each), in order, a batch at a time.

        Raises:
            HapistoreError: not even one image fits.
        """
        while batch := list(islice(pixels, self._growth.batch)):
            yield self._forward(np.stack(batch))

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        started = time.perf_counter()
        failure = ""
        try:
            with self._trace.span("forward", images=len(pixels)):
                features = self._executor.run(pixels)
        except OutOfMemory as error:
            failure = str(error)
        if failure:
            # Only here, outside the handler: the error's traceback holds every tensor of the failed batch.
            return self._halve(pixels, failure)
        self._note(len(pixels), time.perf_counter() - started)
        return features

    def _halve(self, pixels: np.ndarray, failure: str) -> np.ndarray:
        if len(pixels) == 1:
            raise HapistoreError(f"one image alone does not fit in memory: {failure}; free some, or cut earlier")
        self._growth.out_of_memory(len(pixels))
        half = len(pixels) // 2
        return np.concatenate([self._forward(pixels[:half]), self._forward(pixels[half:])])

    def _note(self, rows: int, seconds: float) -> None:
        peak = self._executor.peak_bytes()
        budget = self._growth.budget_bytes
        if rows == 1 and peak > budget:
            raise HapistoreError(
                f"the memory budget is {format_bytes(budget)}, and one image takes {format_bytes(peak)}, the network "
                f"included; give --memory of at least {format_bytes(peak * 1.1)}"
            )
        self._growth.observe(rows, peak, seconds)
        self.largest_batch = max(self.largest_batch, rows)
        self.peak_bytes = max(self.peak_bytes, peak)
