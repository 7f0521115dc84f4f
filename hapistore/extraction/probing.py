"""Measuring a prefix before it is admitted among others: extraction batches of few sizes, alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np

from ..errors import ExecutorFailed, HapistoreError, OutOfMemory
from ..planning import MemoryModel, ThroughputCurve
from ..units import format_bytes
from . import memory
from .executors import ChildExecutor, Executor
from .profiles import ExtractionProfile

_log = logging.getLogger(__name__)
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


# On while a step brings so much more, at most once in vain, and for so long.
_CHILD_BATCHES = (1, 2, 8, 16, 32, 64, 128, 256)
_WORTHWHILE, _PATIENCE, _PROBE_S = 1.03, 2, 10.0
# A batch that was killed, though the kernel has killed nothing, is tried so often.
_TRIES = 5


def probe_child(
    executor: ChildExecutor, images: Sequence[np.ndarray], *, room_bytes: int, max_batch: int
) -> ExtractionProfile:
    """Memory of a whole child and throughput, others running beside it: each size twice, while larger ones bring more.

    Args:
        images: uint8 [height, width, 3]; the first that passes is repeated.
        room_bytes: what the child may occupy; a size whose bound is beyond it is left out, but not the first.

    Raises:
        ExecutorFailed: no image passes.
        OutOfMemory: one image does not fit.
    """
    idle = executor.child_idle_bytes
    image = _first_that_passes(executor, images)
    model, curve, best, in_vain = MemoryModel(seen=()), ThroughputCurve(), 0.0, 0
    started = time.perf_counter()
    for batch in _CHILD_BATCHES:
        too_much = model.seen and idle + model.upper_bytes(batch) > room_bytes
        if batch > max_batch or too_much or time.perf_counter() - started > _PROBE_S:
            break
        try:
            for _ in range(2):
                seconds = _run_again(executor, np.repeat(image[None], batch, axis=0))
                curve, model = curve.observe(batch, seconds), model.observe(batch, executor.child_peak_bytes - idle)
        except OutOfMemory:
            if not model.seen:
                raise
            break
        in_vain = 0 if curve.rate(batch) > _WORTHWHILE * best else in_vain + 1
        if in_vain >= _PATIENCE:
            break
        best = curve.rate(batch)
    return ExtractionProfile(model=model.plus(idle), curve=curve)


def _first_that_passes(executor: ChildExecutor, images: Sequence[np.ndarray]) -> np.ndarray:
    for image in images[:-1]:
        try:
            _run_again(executor, image[None])
        except ExecutorFailed as error:
            _log.info("an image is not measured with: %s", error)
        else:
            return image
    return images[-1]


def _run_again(executor: ChildExecutor, pixels: np.ndarray) -> float:
    """Run a batch; seconds it took. Again where it was killed, and not for want of memory."""
    for number in range(_TRIES):
        kills, began = memory.kills(), time.perf_counter()
        try:
            executor.run(pixels)
            return time.perf_counter() - began
        except (OutOfMemory, ExecutorFailed) as error:
            by_kernel = kills is None or memory.kills() != kills
            if not error.killed or by_kernel or number == _TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")
