"""OpenVINO on CPUs: folds, fuses and lays out the same network; several times as fast as eager there."""

from __future__ import annotations

import sys
import threading
import warnings
import weakref
from typing import Any

import numpy as np

from ...errors import OutOfMemory, UsageError
from ...models import Prefix
from .. import memory
from .exporting import export_module
from .protocol import executor_failed, is_out_of_memory

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
        self._compiled = openvino.Core().compile_model(model, "CPU", config)
        self._request = self._compiled.create_infer_request()
        self._shape = prefix.feature_shape

    def run(self, pixels: np.ndarray) -> np.ndarray:
        memory.reset_peak()
        try:
            self._request.infer({0: pixels}, share_inputs=True)
        except Exception as error:  # it raises whatever its plugins report
            if is_out_of_memory(error):
                raise OutOfMemory(f"{len(pixels)} images did not fit: {error}") from error
            raise executor_failed(error) from error
        output = self._request.get_output_tensor(0).data  # a view that the next run overwrites
        return np.array(output, dtype=np.float32).reshape(len(pixels), *self._shape)

    def peak_bytes(self) -> int:
        return memory.peak_bytes()

    def idle_bytes(self) -> int:
        return memory.resident_bytes()

    def close(self) -> None:
        """Nothing runs beside this process."""


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
    program = export_module(prefix.module, prefix.preprocess.pixel_shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, about torch's own code
        model = openvino.convert_model(program)
    # The converter leaves every side open; only the batch shall be.
    model.reshape([-1, *prefix.preprocess.pixel_shape])
    return model
