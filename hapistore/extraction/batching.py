"""Running extraction batches whose size follows the memory there is, without losing a row."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from ..errors import ExecutorFailed, HapistoreError, OutOfMemory
from ..planning import BatchSearch, ThroughputCurve
from ..units import format_bytes
from .bad_images import BadImage
from .executors import Executor
from .profiles import ExtractionProfile, ProfileKey, load_profile, save_profile
from .trace import Trace

# So many images in a row that fail alone, and none that passed: it is not the images.
_FAILURES_TO_GIVE_UP = 8


class BatchRunner:
    """Feeds one executor.

    Args:
        budget_bytes: what the executor's device (on a CPU: the process) may occupy at its peak.
        max_batch: largest extraction batch.
        profile_key: where earlier runs' measurements are kept, and this one's will be; None: nothing is kept.
        aim: ``knee`` or ``memory``, as in `plan_batches`.
        trace: takes a span for each batch.

    Attributes:
        failed: images of the last ``run`` that have no features, by their number in its stream.
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
        self.failed: dict[int, BadImage] = {}
        self._passed, self._failed_alone = False, 0

    def run(self, pixels: Iterator[np.ndarray | BadImage]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Features of all pixels (uint8 [height, width, 3] each), in order, a batch at a time.

        Bad images are left out, and such as the executor fails at alone; both are in ``failed``.

        Yields:
            int64 [n], numbers in the stream, and float32 [n, *shape]; n may be smaller than the batch that ran.

        Raises:
            HapistoreError: not even one image fits, or every image fails.
        """
        self.failed = {}
        numbers: list[int] = []
        batch: list[np.ndarray] = []
        for number, item in enumerate(pixels):
            if isinstance(item, BadImage):
                self.failed[number] = item
                continue
            numbers.append(number)
            batch.append(item)
            if len(batch) >= self._search.batch:
                yield from self._forward(np.array(numbers), np.stack(batch))
                numbers, batch = [], []
        if batch:
            yield from self._forward(np.array(numbers), np.stack(batch))
        self._keep()

    def _forward(self, numbers: np.ndarray, pixels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        started = time.perf_counter()
        failure: BadImage | str = ""
        try:
            with self._trace.span("forward", images=len(pixels)):
                features = self._executor.run(pixels)
        except OutOfMemory as error:
            failure = str(error)
        except ExecutorFailed as error:
            failure = BadImage(error.reason, error.detail)
        if failure:
            # Only here, outside the handler: the error's traceback holds every tensor of the failed batch.
            yield from self._halve(numbers, pixels, failure)
            return
        self._note(len(pixels), time.perf_counter() - started)
        self._passed = True
        yield numbers, features

    def _halve(
        self, numbers: np.ndarray, pixels: np.ndarray, failure: BadImage | str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if len(pixels) == 1:
            self._give_up(int(numbers[0]), failure)
            return
        if isinstance(failure, str):
            self._search.out_of_memory(len(pixels))
        half = len(pixels) // 2
        yield from self._forward(numbers[:half], pixels[:half])
        yield from self._forward(numbers[half:], pixels[half:])

    def _give_up(self, number: int, failure: BadImage | str) -> None:
        """Note an image that fails alone."""
        if isinstance(failure, str):
            raise HapistoreError(f"one image alone does not fit in memory: {failure}; free some, or cut earlier")
        self._failed_alone += 1
        if not self._passed and self._failed_alone >= _FAILURES_TO_GIVE_UP:
            raise HapistoreError(
                f"the first {self._failed_alone} images all fail with {self._executor.name}: {failure.detail} "
                f"[{failure.reason}]; try another --executor"
            )
        self.failed[number] = failure

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
