"""Running extraction batches of one job, whose size follows the memory there is, without losing a row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from ..errors import HapistoreError
from ..planning import BatchSearch, ThroughputCurve
from ..units import format_bytes
from .bad_images import BadImage
from .executors import Executor
from .halving import Failure, HalvingRunner
from .profiles import ExtractionProfile, ProfileKey, load_profile, save_profile
from .trace import Trace

# So many images in a row that fail alone, and none that passed: it is not the images.
FAILURES_TO_GIVE_UP = 8


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
        self._executor, self._key = executor, profile_key
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
        self._runner = HalvingRunner(executor, self, trace or Trace())
        self._passed, self._failed_alone = False, 0

    @property
    def batch(self) -> int:
        """Size of the next extraction batch."""
        return self._search.batch

    @property
    def failed(self) -> dict[int, BadImage]:
        """Images of the last ``run`` that have no features, by their number in its stream."""
        return self._runner.failed

    def run(self, pixels: Iterator[np.ndarray | BadImage]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Features of all pixels (uint8 [height, width, 3] each), in order, a batch at a time.

        Bad images are left out, and such as the executor fails at alone; both are in ``failed``.

        Yields:
            int64 [n], numbers in the stream, and float32 [n, *shape]; n may be smaller than the batch that ran.

        Raises:
            HapistoreError: not even one image fits, or every image fails.
        """
        yield from self._runner.run(pixels)
        self._keep()

    def turn(self, rows: int) -> AbstractContextManager[None]:
        """Nobody else is waited for."""
        return nullcontext()

    def passed(self, rows: int, seconds: float) -> None:
        """Take note of a batch."""
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
        self._passed = True

    def halved(self, rows: int, failure: Failure) -> None:
        """Shrink where memory ran out."""
        if failure.kind == "memory":
            self._search.out_of_memory(rows)

    def failed_alone(self, failure: Failure) -> None:
        """Go on without an image, unless it is not the image."""
        if failure.kind == "memory":
            raise HapistoreError(f"one image alone does not fit in memory: {failure.detail}; free some, or cut earlier")
        self._failed_alone += 1
        if not self._passed and self._failed_alone >= FAILURES_TO_GIVE_UP:
            raise all_fail(self._executor.name, self._failed_alone, failure)

    def _keep(self) -> None:
        """Keep what was measured, for the next run."""
        if self._key and self._search.model and self._search.curve.rates:
            save_profile(self._key, ExtractionProfile(model=self._search.model, curve=self._search.curve))


def all_fail(executor: str, count: int, failure: Failure) -> HapistoreError:
    """What is said where no image passes."""
    return HapistoreError(
        f"the first {count} images all fail with {executor}: {failure.detail} [{failure.reason}]; "
        "try another --executor"
    )
