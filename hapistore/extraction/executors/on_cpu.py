"""What executors in this process and on its CPU have in common: memory is the process's."""

from __future__ import annotations

import numpy as np

from ...errors import OutOfMemory
from .. import memory
from .protocol import executor_failed, is_out_of_memory


class CPUExecutor:
    """Accounts for memory around a ``_forward`` of one's own."""

    device, variant = "cpu", ""

    def run(self, pixels: np.ndarray) -> np.ndarray:
        memory.begin_run((id(self), len(pixels)))
        try:
            return self._forward(pixels)
        except Exception as error:  # frameworks raise what they like, and so do networks
            if is_out_of_memory(error):
                raise OutOfMemory(f"{len(pixels)} images did not fit: {error}") from error
            raise executor_failed(error) from error

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [n, height, width, 3] to float32 [n, *shape] of its own memory."""
        raise NotImplementedError

    def peak_bytes(self) -> int:
        return memory.peak_bytes()

    def idle_bytes(self) -> int:
        return memory.resident_bytes()

    def free_bytes(self) -> int:
        return memory.free_bytes()
