"""OpenVINO on CPUs: folds, fuses and lays out the same network; several times as fast as eager there."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import torch

from ...errors import OutOfMemory, UsageError
from ...models import Prefix
from .. import memory
from .protocol import is_out_of_memory

# Two examples keep torch.export from taking the batch for a constant.
_EXAMPLE_BATCH = 2
# Converting takes seconds, most of a small extraction; a prefix is frozen, so what it becomes lives as long as it does.
_converted: weakref.WeakKeyDictionary[Prefix, Any] = weakref.WeakKeyDictionary()
_converting = threading.Lock()


class OpenVINOExecutor:
    """A prefix exported from torch and compiled for the CPU in float32, with a dynamic extraction batch.

    Raises:
        UsageError: OpenVINO is not installed.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, prefix: Prefix) -> None:
        openvino = _import_openvino()
        with _converting:
            model = _converted.get(prefix)
            if model is None:
                model = _converted[prefix] = _convert(openvino, prefix)
        config = {
            # CPUs with bf16 units would compute in bf16 otherwise, which is another precision.
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": "1",
        }
        self._compiled = _core().compile_model(model, "CPU", config)
        self._request = self._compiled.create_infer_request()
        self._shape = prefix.feature_shape

    def run(self, pixels: np.ndarray) -> np.ndarray:
        memory.reset_peak()
        try:
            self._request.infer({0: pixels}, share_inputs=True)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise OutOfMemory(f"{len(pixels)} images did not fit: {error}") from error
            raise
        output = self._request.get_output_tensor(0).data  # a view that the next run overwrites
        return np.array(output, dtype=np.float32).reshape(len(pixels), *self._shape)

    def peak_bytes(self) -> int:
        return memory.peak_bytes()

    def idle_bytes(self) -> int:
        return memory.resident_bytes()


@functools.cache
def _core() -> Any:
    """One for the life of the process.

    Its CPU plugin gives the thread that loads it another stack for signal handlers, and takes that stack away when it
    is unloaded, in whatever thread that happens: the next signal the first thread gets, such as Ctrl-C, would kill it.
    """
    return _import_openvino().Core()


def _import_openvino() -> Any:
    # Importing openvino starts its telemetry; with this entry it takes its own stub instead.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise UsageError(f"executor openvino is not installed ({error}); pip install 'hapistore[cpu]'") from error
    return openvino


def _convert(openvino: Any, prefix: Prefix) -> Any:
    """The prefix as an OpenVINO model: uint8 [batch, height, width, 3] to features, any batch."""
    example = torch.zeros((_EXAMPLE_BATCH, *prefix.preprocess.pixel_shape), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, about torch's own code
        program = torch.export.export(prefix.module, (example,), dynamic_shapes=({0: batch},))
        model = openvino.convert_model(program)
    # The converter leaves every side open; only the batch shall be.
    model.reshape([-1, *prefix.preprocess.pixel_shape])
    return model
