"""Measuring a prefix before it is admitted among others: extraction batches of few sizes, alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ..errors import HapistoreError
from ..planning import MemoryModel, ThroughputCurve
from ..units import format_bytes
from .executors import Executor
from .profiles import ExtractionProfile

# Each size twice: the first run pays for allocations. Far apart, since noise divides by the distance.
PROBE_BATCHES = (1, 1, 2, 2, 8, 8)


def probe_executor(
    executor: Executor, image: np.ndarray, *, budget_bytes: int, batches: Sequence[int] = PROBE_BATCHES
) -> ExtractionProfile:
    """Memory over idle, and throughput, of an executor that nothing else runs beside.

    A size whose bound, by those before it, is beyond the budget is left out.

    Args:
        image: uint8 [height, width, 3], repeated for every batch: neither memory nor time depends on what is seen.
        budget_bytes: what the executor's device (on a CPU: the process) may occupy.
        batches: sizes to run, in order, the first one the smallest.

    Raises:
        HapistoreError: the first size is beyond the budget.
        OutOfMemory: a batch did not fit.
    """
    idle = executor.idle_bytes()
    model, curve = MemoryModel(seen=()), ThroughputCurve()
    for batch in batches:
        if model.seen and idle + model.upper_bytes(batch) > budget_bytes:
            continue
        pixels = np.repeat(image[None], batch, axis=0)
        started = time.perf_counter()
        executor.run(pixels)
        curve = curve.observe(batch, time.perf_counter() - started)
        peak = executor.peak_bytes()
        if peak > budget_bytes and batch == batches[0]:
            raise HapistoreError(
                f"the memory budget is {format_bytes(budget_bytes)}, and an extraction batch of {batch} takes "
                f"{format_bytes(peak)}, the network included; give --memory of at least {format_bytes(peak * 1.1)}"
            )
        model = model.observe(batch, peak - idle)
    return ExtractionProfile(model=model, curve=curve)
