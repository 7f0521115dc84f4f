"""PyTorch as it is: in float32 the reference, on any device it knows."""

from __future__ import annotations

import numpy as np
import torch

from ...errors import OutOfMemory
from .. import memory
from .exporting import module_of
from .protocol import executor_failed, is_out_of_memory
from .saved_program import Source


class EagerExecutor:
    """Eager PyTorch in float32 (TensorFloat-32 off: it has 10 bits of mantissa), or in bfloat16 by autocast.

    Autocast leaves normalisation layers and the prefix's own first and last steps in float32, whatever the network.
    """

    name, variant = "torch", ""

    def __init__(self, source: Source, device: str = "cpu", precision: str = "f32") -> None:
        self._device = torch.device(device)
        self.device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else str(self._device)
        self.precision = precision
        self._module: torch.nn.Module | None = module_of(source, device)

    def run(self, pixels: np.ndarray) -> np.ndarray:
        assert self._module is not None, "it was closed"
        memory.reset_peak()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        reduced = torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16")
        try:
            with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False), reduced:
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

    def free_bytes(self) -> int:
        if self._device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self._device)
            # What PyTorch keeps of earlier batches is free for the next.
            return free + torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return memory.free_bytes()

    def close(self) -> None:
        self._module = None  # the prefix keeps it
