"""ONNX Runtime on CPUs, in float32."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import UsageError
from ...models import Prefix
from .exporting import exported
from .on_cpu import CPUExecutor
from .saved_program import SavedProgram, Source

_INSTALL = "pip install 'hapistore[onnx]'"
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def missing() -> str:
    """Why ONNX Runtime cannot be used here; "" where it can."""
    lacking = [name for name in _PACKAGES if not find_spec(name)]
    return f"{', '.join(lacking)} is not installed; {_INSTALL}" if lacking else ""


class OnnxExecutor(CPUExecutor):
    """A prefix exported from torch to ONNX, with a dynamic extraction batch.

    Raises:
        UsageError: ONNX Runtime is not installed.
    """

    name = "onnx"

    def __init__(self, source: Source, precision: str = "f32") -> None:
        if reason := missing():
            raise UsageError(f"executor onnx: {reason}")
        import onnxruntime

        self.precision = precision
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        options.log_severity_level = 3  # errors
        # Memory as it is needed, not doubled: what stands still counts against the extraction's budget.
        providers = [("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})]
        with _file_of(source) as path:
            self._session: Any = onnxruntime.InferenceSession(path, options, providers=providers)
        self._input = self._session.get_inputs()[0].name
        self._shape = source.feature_shape

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        (features,) = self._session.run(None, {self._input: pixels})
        return np.asarray(features, dtype=np.float32).reshape(len(pixels), *self._shape)

    def close(self) -> None:
        self._session = None


def save_onnx(prefix: Prefix, program: str, weights: str) -> None:
    """Write a prefix, its weights within: one message of ONNX, which holds at most 2 GiB.

    Raises:
        UsageError: it would be larger; onnx says so by ValueError.
    """
    try:
        _to_onnx(prefix).save(program, external_data=False)
    except ValueError as error:
        raise UsageError(f"{prefix.architecture} is too large for one message of ONNX: {error}") from error


@contextlib.contextmanager
def _file_of(source: Source) -> Iterator[str]:
    """Where a model can be read for a while."""
    if isinstance(source, SavedProgram):
        yield source.path
        return
    with tempfile.TemporaryDirectory(prefix="hapistore-onnx-") as folder:
        path = Path(folder, "prefix.onnx")
        _to_onnx(source).save(str(path), external_data=True)  # apart they may be of any size
        yield str(path)


def _to_onnx(prefix: Prefix) -> torch.onnx.ONNXProgram:
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it reports its steps there
            warnings.simplefilter("ignore")
            program = torch.onnx.export(exported(prefix), dynamo=True, verbose=False)
    finally:
        quiet.setLevel(level)
    assert program is not None
    return program
