"""OpenVINO on CPUs: folds, fuses and lays out the same network; several times as fast as eager there."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from ...errors import UsageError
from .on_cpu import CPUExecutor
from .saved_program import SavedProgram, Source


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

    def __init__(self, source: Source, precision: str = "f32", streams: int = 1) -> None:
        openvino = import_openvino()
        config = {
            # CPUs with bf16 units would compute in bf16 by default, which is another precision.
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": str(streams),
        }
        self.precision = precision
        self.variant = "1 stream" if streams == 1 else f"{streams} streams"
        self._streams = streams
        model = _model_of(openvino, source)
        # A saved model's constants are memory of its file.
        self._saved = source if isinstance(source, SavedProgram) else None
        self._compile: Callable[[], Any] | None = partial(core().compile_model, model, "CPU", config)
        self._requests = self._make_requests()
        self._shape = source.feature_shape

    def _make_requests(self) -> list[Any]:
        assert self._compile is not None, "it was closed"
        compiled = self._compile()
        return [compiled.create_infer_request() for _ in range(self._streams)]

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        requests = self._requests or self._make_requests()
        # Once its memory ran out, a compiled model gives outputs of that batch's shape ever after, by new requests too:
        # these come back when all went well, else the next run compiles again, a few tenths of a second.
        self._requests = []
        edges = [len(pixels) * part // self._streams for part in range(self._streams + 1)]
        spans = [slice(*pair) for pair in zip(edges, edges[1:], strict=False) if pair[0] < pair[1]]
        outputs = _infer(requests[: len(spans)], [pixels[span] for span in spans])
        features = np.empty((len(pixels), *self._shape), np.float32)
        for span, rows in zip(spans, outputs, strict=True):
            features[span] = rows.reshape(-1, *self._shape)
        self._requests = requests
        return features

    def close(self) -> None:
        self._requests, self._compile = [], None


def _infer(requests: list[Any], parts: list[np.ndarray]) -> list[np.ndarray]:
    """All at the same time; views of the requests' memory, which their next run overwrites."""
    begun = []
    try:
        for request, part in zip(requests, parts, strict=True):
            request.start_async({0: part}, share_inputs=True)
            begun.append(request)
    finally:
        # All of them, whatever becomes of one: they read the caller's memory.
        failures = [failure for failure in map(_wait, begun) if failure]
    if failures:
        raise failures[0]
    return [request.get_output_tensor(0).data for request in requests]


def _wait(request: Any) -> Exception | None:
    try:
        request.wait()
    except (RuntimeError, MemoryError) as error:
        return error
    return None


@functools.cache
def core() -> Any:
    """OpenVINO's, one for the life of the process.

    Its CPU plugin gives the thread that loads it another stack for signal handlers, and takes that stack away when it
    is unloaded, in whatever thread that happens: the next signal the first thread gets, such as Ctrl-C, would kill it.
    """
    return import_openvino().Core()


def import_openvino() -> Any:
    """The module.

    Raises:
        UsageError: it is not installed.
    """
    # Importing openvino starts its telemetry; with this entry it takes its own stub instead.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise UsageError(f"executor openvino is not installed ({error}); pip install 'hapistore[cpu]'") from error
    return openvino


def _model_of(openvino: Any, source: Source) -> Any:
    if not isinstance(source, SavedProgram):
        from .openvino_model import converted  # which imports torch

        return converted(source)
    with source.open() as file:
        return core().read_model(file.read(), openvino.Tensor(source.weights, shared_memory=True))
