"""OpenVINO on CPUs: folds, fuses and lays out the same network; several times as fast as eager there."""

from __future__ import annotations

import sys
import threading
import weakref
from importlib.util import find_spec
from typing import Any

import numpy as np

from ...errors import UsageError
from ...models import Prefix
from .exporting import exported
from .on_cpu import CPUExecutor

_converted: weakref.WeakKeyDictionary[Prefix, Any] = weakref.WeakKeyDictionary()
_converting = threading.Lock()


def missing() -> str:
    """Why OpenVINO cannot be used here; "" where it can."""
    return "" if find_spec("openvino") else "it is not installed; pip install 'hapistore[cpu]'"


class OpenVINOExecutor(CPUExecutor):
    """A prefix exported from torch and compiled for the CPU, with a dynamic extraction batch.

    Args:
        precision: ``f32``, or ``bf16``, which CPUs without bfloat16 units compute in float32.
        streams: into so many parts a batch is split, each computed by its share of the cores at the same time.

    Raises:
        UsageError: OpenVINO is not installed.
    """

    name = "openvino"

    def __init__(self, prefix: Prefix, precision: str = "f32", streams: int = 1) -> None:
        openvino = _import_openvino()
        with _converting:
            model = _converted.get(prefix)
            if model is None:
                model = _converted[prefix] = _convert(openvino, prefix)
        config = {
            # CPUs with bf16 units would compute in bf16 by default, which is another precision.
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": str(streams),
        }
        self.precision = precision
        self.variant = "1 stream" if streams == 1 else f"{streams} streams"
        self._compiled: Any = openvino.Core().compile_model(model, "CPU", config)
        self._requests = [self._compiled.create_infer_request() for _ in range(streams)]
        self._shape = prefix.feature_shape

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        edges = [len(pixels) * part // len(self._requests) for part in range(len(self._requests) + 1)]
        spans = [slice(*pair) for pair in zip(edges, edges[1:], strict=False) if pair[0] < pair[1]]
        begun = []
        try:
            for request, span in zip(self._requests, spans, strict=False):
                request.start_async({0: pixels[span]}, share_inputs=True)
                begun.append(request)
        finally:
            # All of them, whatever becomes of one: they read the caller's memory.
            failures = [failure for failure in map(_wait, begun) if failure]
        if failures:
            raise failures[0]
        features = np.empty((len(pixels), *self._shape), np.float32)
        for request, span in zip(begun, spans, strict=True):
            rows = request.get_output_tensor(0).data  # a view that the next run overwrites
            features[span] = rows.reshape(-1, *self._shape)
        return features

    def close(self) -> None:
        self._requests, self._compiled = [], None


def _wait(request: Any) -> Exception | None:
    try:
        request.wait()
    except RuntimeError as error:
        return error
    return None


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
    model = openvino.convert_model(exported(prefix))
    # The converter leaves every side open; only the batch shall be.
    model.reshape([-1, *prefix.preprocess.pixel_shape])
    return model
