"""What the extraction worker asks of an executor."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...errors import ExecutorFailed


class Executor(Protocol):
    """Runs one prefix on one device in one precision. Called from one thread at a time, not always the same.

    ``hapistore.testing.executor_contract`` holds what is said here.

    Attributes:
        name: of the program that computes, e.g. ``torch``; device: where it runs, for people.
        precision: of the recipe it may be used for; features are within what `hapistore_format` states for it.
        variant: what else tells it from others of its name, e.g. ``2 streams``; "" where there is nothing.
    """

    name: str
    device: str
    precision: str
    variant: str

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Features of one extraction batch; a row's do not depend on which others it comes with.

        Args:
            pixels: uint8 [n, height, width, 3], C-contiguous, any n of 1 or more. Read until it returns.

        Returns:
            float32 [n, *shape], the caller's own: no later run changes it.

        Raises:
            OutOfMemory: the batch did not fit; a smaller one may.
            ExecutorFailed: it did not pass for another reason; a smaller one, without the image that is to blame, may.
        """

    def peak_bytes(self) -> int:
        """Highest memory use of the last ``run``, on the device that the memory budget is about."""

    def idle_bytes(self) -> int:
        """Memory use between runs, there."""

    def free_bytes(self) -> int:
        """What that device has free now."""

    def close(self) -> None:
        """Give back what it holds, a process of its own too; no run may follow. Twice is as good as once."""


OUT_OF_MEMORY_TEXTS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "bad allocation", "alloc failed",
    "failed to allocate",
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


def executor_failed(error: BaseException) -> ExecutorFailed:
    """A framework's error about a batch, in one line."""
    text = " ".join(str(error).split()) or "no text"
    return ExecutorFailed("failed", f"{type(error).__name__}: {text}"[:300])
