"""What the extraction worker asks of an executor."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...errors import ExecutorFailed


class Executor(Protocol):
    """Runs one prefix on one device. Called from one thread at a time.

    Attributes:
        name: ``torch`` or ``openvino``; ``device``: where it runs, for people.
    """

    name: str
    device: str

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Features of one extraction batch.

        Args:
            pixels: uint8 [n, height, width, 3].

        Returns:
            float32 [n, *shape].

        Raises:
            OutOfMemory: the batch did not fit; a smaller one may.
            ExecutorFailed: it did not pass for another reason; a smaller one, without the image that is to blame, may.
        """

    def peak_bytes(self) -> int:
        """Highest memory use of the last ``run``, on the device that the memory budget is about."""

    def idle_bytes(self) -> int:
        """Memory use between runs."""

    def close(self) -> None:
        """End what runs beside this process, if anything; nothing is run afterwards. May be called again."""


OUT_OF_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "alloc failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a framework's error means that memory ran out: they raise RuntimeError for it."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(known in text for known in OUT_OF_MEMORY_TEXTS)


def executor_failed(error: BaseException) -> ExecutorFailed:
    """A framework's error about a batch, in one line."""
    lines = str(error).strip().splitlines()
    return ExecutorFailed("failed", f"{type(error).__name__}: {lines[0] if lines else 'no text'}"[:300])
