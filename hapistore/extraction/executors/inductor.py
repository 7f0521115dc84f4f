"""PyTorch's own compiler on CPUs: C++ made for one prefix. Compiling takes tens of seconds, and a C++ compiler."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import FunctionType

import numpy as np
import torch

from ...errors import UsageError
from ..user_cache import user_cache_folder
from .exporting import module_of
from .on_cpu import CPUExecutor
from .saved_program import Source

# Code for one size of batch is what Inductor is good at, and each size takes tens of seconds to compile: whatever the
# extraction batch, it is computed so many images at a time, the last of them filled up.
_CHUNK = 16
_Forward = Callable[[torch.Tensor], torch.Tensor]


def missing() -> str:
    """Why Inductor cannot be used here; "" where it can."""
    compiler = os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        return f"there is no C++ compiler ({compiler}, or what CXX names)"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "there is no Python.h; install Python's development files"
    return ""


class InductorExecutor(CPUExecutor):
    """torch.compile with freezing: weights become constants, folded and laid out for this CPU.

    Raises:
        UsageError: there is no C++ compiler.
    """

    name = "inductor"

    def __init__(self, source: Source, precision: str = "f32") -> None:
        if reason := missing():
            raise UsageError(f"executor inductor: {reason}")
        folder = user_cache_folder("inductor")
        if folder:
            # Its default is a name in /tmp that others can guess, and what lies there is run.
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
        self.precision = precision
        self._shape = source.feature_shape
        self._chunk = np.zeros((_CHUNK, *source.pixel_shape), np.uint8)
        self._compiled: _Forward | None = _compile(source, precision)
        self._run_chunk(self._chunk)

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        features = np.empty((len(pixels), *self._shape), np.float32)
        for first in range(0, len(pixels), _CHUNK):
            rows = pixels[first : first + _CHUNK]
            if len(rows) < _CHUNK:
                self._chunk[: len(rows)] = rows
                found = self._run_chunk(self._chunk)
            else:
                found = self._run_chunk(rows)
            features[first : first + len(rows)] = found[: len(rows)]
        return features

    def _run_chunk(self, chunk: np.ndarray) -> np.ndarray:
        assert self._compiled is not None, "it was closed"
        with torch.no_grad():
            return self._compiled(torch.from_numpy(chunk)).numpy()

    def close(self) -> None:
        self._compiled = None


def _compile(source: Source, precision: str) -> _Forward:
    module = module_of(source)

    def forward(batch: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            features: torch.Tensor = module(batch)
        return features

    # torch.compile keeps what it made with the code it was made of, eight variants at most for one code: a code of
    # its own for each executor, which goes when it does.
    code = forward.__code__.replace(co_name=f"forward_{precision}")
    own = FunctionType(code, forward.__globals__, closure=forward.__closure__)
    compiled: _Forward = torch.compile(own, fullgraph=True, options={"freezing": True})
    return compiled
