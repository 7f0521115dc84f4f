"""PyTorch as it is: the reference, on any device it knows."""

from __future__ import annotations

import numpy as np
import torch

from ...errors import OutOfMemory
from ...models import Prefix
from .. import memory
from .protocol import executor_failed, is_out_of_memory


class EagerExecutor:
    """Eager PyTorch in float32 (TensorFloat-32 off: it has 10 bits of mantissa)."""

    name = "torch"

    def __init__(self, prefix: Prefix, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self.device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else str(self._device)
        self._module = prefix.module.to(self._device)

    def run(self, pixels: np.ndarray) -> np.ndarray:
        memory.reset_peak()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        try:
            with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
                batch = torch.from_numpy(pixels).to(self._device)
                return np.ascontiguousarray(self._module(batch).float().cpu().numpy())
        except Exception as error:  # a network may raise anything
            if not is_out_of_memory(error):
                raise executor_failed(error) from error
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            raise OutOfMemory(f"{len(pixels)} images did not fit: {error}") from error

    def peak_bytes(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return memory.peak_bytes()

    def idle_bytes(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device)
        return memory.resident_bytes()

    def close(self) -> None:
        """Nothing runs beside this process."""
