"""Running extraction batches whose size follows the memory there is, without losing a row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import numpy as np

from ..errors import HapistoreError, OutOfMemory
from ..planning import BatchSearch, ThroughputCurve
from ..units import format_bytes
from .executors import Executor
from .profiles import ExtractionProfile, ProfileKey, load_profile, save_profile
from .trace import Trace


class BatchRunner:
    """Feeds one executor.

    Args:
        budget_bytes: what the executor's device (on a CPU: the process) may occupy at its peak.
        max_batch: largest extraction batch.
        profile_key: where earlier runs' measurements are kept, and this one's will be; None: nothing is kept.
        aim: ``knee`` or ``memory``, as in `plan_batches`.
        trace: takes a span for each batch.

    Attributes:
        largest_batch: largest extraction batch that ran; peak_bytes: highest memory use of any.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        budget_bytes: int,
        max_batch: int,
        profile_key: ProfileKey | None = None,
        aim: str = "knee",
        trace: Trace | None = None,
    ) -> None:
        self._executor, self._key, self._trace = executor, profile_key, trace or Trace()
        known = load_profile(profile_key) if profile_key else None
        self._search = BatchSearch(
            budget_bytes=budget_bytes,
            idle_bytes=executor.idle_bytes(),
            max_batch=max_batch,
            model=known.model if known else None,
            curve=known.curve if known else ThroughputCurve(),
            aim=aim,
        )
        self.largest_batch = 0
        self.peak_bytes = 0

    def run(self, pixels: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Features of all pixels (uint8 [height, width, 3] each), in order, a batch at a time.

        Raises:
            HapistoreError: not even one image fits.
        """
        while batch := list(islice(pixels, self._search.batch)):
            yield self._forward(np.stack(batch))
        self._keep()

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
        self._search.out_of_memory(len(pixels))
        half = len(pixels) // 2
        return np.concatenate([self._forward(pixels[:half]), self._forward(pixels[half:])])

    def _note(self, rows: int, seconds: float) -> None:
        peak = self._executor.peak_bytes()
        budget = self._search.budget_bytes
        # After a larger batch its memory is still there: then a single image's peak is not its own.
        if rows == 1 and peak > budget and self.largest_batch <= 1:
            raise HapistoreError(
                f"the memory budget is {format_bytes(budget)}, and one image takes {format_bytes(peak)}, the network "
                f"included; give --memory of at least {format_bytes(peak * 1.1)}"
            )
        self._search.observe(rows, peak, seconds)
        self.largest_batch = max(self.largest_batch, rows)
        self.peak_bytes = max(self.peak_bytes, peak)

    def _keep(self) -> None:
        """Keep what was measured, for the next run."""
        if self._key and self._search.model and self._search.curve.rates:
            save_profile(self._key, ExtractionProfile(model=self._search.model, curve=self._search.curve))
