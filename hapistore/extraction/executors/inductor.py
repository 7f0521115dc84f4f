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
from ...models import Prefix
from .exporting import LARGEST_BATCH, example_pixels
from .on_cpu import CPUExecutor
from .user_cache import user_cache_folder

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

    def __init__(self, prefix: Prefix, precision: str = "f32") -> None:
        if reason := missing():
            raise UsageError(f"executor inductor: {reason}")
        folder = user_cache_folder("inductor")
        if folder:
            # Its default is a name in /tmp that others can guess, and what lies there is run.
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
        self.precision = precision
        self._forward_compiled: _Forward | None = _compile(prefix, precision)
        self._run_compiled(example_pixels(prefix), first=True)

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(pixels)
        if len(pixels) == 1:  # torch.compile would compile again, for this batch
            batch = torch.cat([batch, batch])
        return self._run_compiled(batch)[: len(pixels)].numpy()

    def _run_compiled(self, batch: torch.Tensor, *, first: bool = False) -> torch.Tensor:
        assert self._forward_compiled is not None, "it was closed"
        if first:
            torch._dynamo.mark_dynamic(batch, 0, min=2, max=LARGEST_BATCH)
        with torch.inference_mode():
            return self._forward_compiled(batch).contiguous()

    def close(self) -> None:
        self._forward_compiled = None


def _compile(prefix: Prefix, precision: str) -> _Forward:
    module = prefix.module.to("cpu")

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
