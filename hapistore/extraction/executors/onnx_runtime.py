"""ONNX Runtime on CPUs, in float32."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UsageError
from .on_cpu import CPUExecutor
from .saved_program import Levels, SavedProgram, Source

_INSTALL = "pip install 'hapistore[onnx]'"
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def missing(packages: Sequence[str] = _PACKAGES) -> str:
    """Why ONNX Runtime cannot be used here; "" where it can."""
    lacking = [name for name in packages if not find_spec(name)]
    return f"{', '.join(lacking)} is not installed; {_INSTALL}" if lacking else ""


class OnnxExecutor(CPUExecutor):
    """A prefix exported from torch to ONNX, with a dynamic extraction batch; or one that came as ONNX.

    Raises:
        UsageError: ONNX Runtime is not installed.
    """

    name = "onnx"

    def __init__(self, source: Source, precision: str = "f32") -> None:
        if reason := missing(_PACKAGES[-1:] if isinstance(source, SavedProgram) else _PACKAGES):
            raise UsageError(f"executor onnx: {reason}")
        import onnxruntime

        self.precision = precision
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        options.log_severity_level = 3  # errors
        # Never guessed from the bytes: ONNX Runtime has a format of its own, which nobody here checks.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # Memory as it is needed, not doubled: what stands still counts against the extraction's budget.
        providers = [("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})]
        with _file_of(source) as path:
            self._session: Any = onnxruntime.InferenceSession(path, options, providers=providers)
        self._input = self._session.get_inputs()[0].name
        self._shape = source.feature_shape
        self._levels = source.levels if isinstance(source, SavedProgram) else None

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        if self._levels is not None:
            return self._forward_images(_normalised(pixels, self._levels))
        (features,) = self._session.run(None, {self._input: pixels})
        return np.asarray(features, dtype=np.float32).reshape(len(pixels), *self._shape)

    def _forward_images(self, images: np.ndarray) -> np.ndarray:
        """Of a program that somebody else wrote: what it returns is not taken for granted."""
        (features,) = self._session.run(None, {self._input: images})
        expected = (len(images), *self._shape)
        if features.shape != expected or features.dtype != np.float32:
            raise ValueError(f"the program returned {features.dtype} {features.shape}, expected float32 {expected}")
        return np.array(features)

    def close(self) -> None:
        self._session = None


def _normalised(pixels: np.ndarray, levels: Levels) -> np.ndarray:
    """uint8 [n, height, width, 3] to float32 [n, 3, height, width], as `PixelNetwork` does it."""
    mean, std = (np.asarray(of_channels, np.float32).reshape(1, 3, 1, 1) for of_channels in levels)
    images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32)
    images -= mean
    images /= std
    return images


@contextlib.contextmanager
def _file_of(source: Source) -> Iterator[str]:
    """Where a model can be read for a while."""
    if isinstance(source, SavedProgram):
        yield source.path
        return
    from .onnx_model import to_onnx  # which imports torch

    with tempfile.TemporaryDirectory(prefix="hapistore-onnx-") as folder:
        path = Path(folder, "prefix.onnx")
        to_onnx(source).save(str(path), external_data=True)  # apart they may be of any size
        yield str(path)
