"""Extraction batches through an executor, a failed one in halves, so that what is to blame costs the least."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol

import numpy as np

from ..errors import ExecutorFailed, OutOfMemory
from .bad_images import BadImage
from .executors import Executor
from .trace import Trace


class Failure(NamedTuple):
    """Why an extraction batch did not pass.

    Attributes:
        kind: ``memory``: it did not fit; ``failed``: it raised an error, crashed or hung.
        killed: by SIGKILL, which may have been for its memory and may not.
        reason: a code, as feature shards keep it; detail: the same in words.
    """

    kind: Literal["memory", "failed"]
    killed: bool
    reason: str
    detail: str


class BatchSizes(Protocol):
    """Says how large the next extraction batch is, and is told what became of the last."""

    @property
    def batch(self) -> int:
        """Images of the next one."""

    def turn(self, rows: int) -> AbstractContextManager[None]:
        """Is entered around the forward pass of so many images."""

    def passed(self, rows: int, seconds: float) -> None:
        """So many images passed."""

    def halved(self, rows: int, failure: Failure) -> None:
        """So many did not, and go through in halves."""

    def failed_alone(self, failure: Failure) -> None:
        """One image alone did not. Whoever returns gives it up; who raises ends the run."""


class HalvingRunner:
    """Feeds one executor; which images got no features, and why, is in ``failed`` after each ``run``."""

    def __init__(self, executor: Executor, sizes: BatchSizes, trace: Trace) -> None:
        self._executor, self._sizes, self._trace = executor, sizes, trace
        self.failed: dict[int, BadImage] = {}

    def run(self, pixels: Iterator[np.ndarray | BadImage]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Features of all pixels (uint8 [height, width, 3] each), in order, a batch at a time.

        Yields:
            int64 [n], numbers in the stream, and float32 [n, *shape]; n may be smaller than the batch that ran.
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
            if len(batch) >= self._sizes.batch:
                yield from self._pieces(np.array(numbers), batch)
                numbers, batch = [], []
        if batch:
            yield from self._pieces(np.array(numbers), batch)

    def _pieces(self, numbers: np.ndarray, batch: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What was collected, in more than one piece where the batch became smaller meanwhile."""
        begun = 0
        while begun < len(batch):
            ended = min(len(batch), begun + max(1, self._sizes.batch))
            yield from self._forward(numbers[begun:ended], np.stack(batch[begun:ended]))
            begun = ended

    def _forward(self, numbers: np.ndarray, pixels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        failure: Failure | None = None
        with self._sizes.turn(len(pixels)):
            started = time.perf_counter()
            try:
                with self._trace.span("forward", images=len(pixels)):
                    features = self._executor.run(pixels)
            except OutOfMemory as error:
                failure = Failure("memory", error.killed, "out-of-memory", str(error))
            except ExecutorFailed as error:
                failure = Failure("failed", error.killed, error.reason, error.detail)
            seconds = time.perf_counter() - started
        if failure:
            # Only here, outside the handler: the error's traceback holds every tensor of the failed batch.
            yield from self._halve(numbers, pixels, failure)
            return
        self._sizes.passed(len(pixels), seconds)
        yield numbers, features

    def _halve(
        self, numbers: np.ndarray, pixels: np.ndarray, failure: Failure
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if len(pixels) == 1:
            self._sizes.failed_alone(failure)
            self.failed[int(numbers[0])] = BadImage(failure.reason, failure.detail)
            return
        self._sizes.halved(len(pixels), failure)
        half = len(pixels) // 2
        yield from self._forward(numbers[:half], pixels[:half])
        yield from self._forward(numbers[half:], pixels[half:])
