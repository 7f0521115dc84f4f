"""What the extraction worker asks of an executor."""

from __future__ import annotations

from typing import Protocol

import numpy as np


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
        """

    def peak_bytes(self) -> int:
        """Highest memory use of the last ``run``, on the device that the memory budget is about."""

    def idle_bytes(self) -> int:
        """Memory use between runs."""


OUT_OF_MEMORY_TEXTS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "alloc failed",
    # oneDNN says no more when its scratchpad or its code finds no memory; an operator that it does not know has no
    # primitive *descriptor*.
    "could not create a primitive", "could not execute a primitive", "could not create a memory object",
)  # fmt: skip
_NOT_ABOUT_MEMORY = "primitive descriptor"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a framework's error means that memory ran out: they raise RuntimeError for it."""
    text = str(error).lower()
    known = _NOT_ABOUT_MEMORY not in text and any(known in text for known in OUT_OF_MEMORY_TEXTS)
    return isinstance(error, MemoryError) or known
