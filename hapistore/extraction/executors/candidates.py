"""Which executors there are, for which precisions, and in which order they are expected to be fast."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import inductor, onnx_runtime, openvino
from .eager import EagerExecutor
from .exporting import save_exported
from .inductor import InductorExecutor
from .onnx_runtime import OnnxExecutor
from .openvino import OpenVINOExecutor
from .protocol import Executor
from .saved_program import Source, Write


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to run a prefix on a CPU.

    Attributes:
        prepare_s: what making it takes for a usual network, roughly.
        missing: why it cannot be made here, or "".
        open: makes it in a precision. save: writes a prefix for it, to be opened in another process.
        least_cores: with fewer it has nothing to gain.
    """

    name: str
    variant: str = ""
    precisions: tuple[str, ...]
    prepare_s: float
    missing: Callable[[], str]
    open: Callable[[Source, str], Executor]
    save: Write
    least_cores: int = 1

    @property
    def label(self) -> str:
        return f"{self.name} {self.variant}" if self.variant else self.name


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _eager(source: Source, precision: str) -> Executor:
    return EagerExecutor(source, "cpu", precision)


def _openvino(streams: int) -> Callable[[Source, str], Executor]:
    return partial(_open_openvino, streams=streams)


def _open_openvino(source: Source, precision: str, *, streams: int) -> Executor:
    return OpenVINOExecutor(source, precision, streams)


_BOTH = ("f32", "bf16")
CANDIDATES = (
    Candidate(
        name="openvino", variant="2 streams", precisions=_BOTH, prepare_s=6, missing=openvino.missing,
        open=_openvino(2), save=openvino.save_openvino, least_cores=2,
    ),
    # Its network is converted already.
    Candidate(
        name="openvino", variant="1 stream", precisions=_BOTH, prepare_s=0.5, missing=openvino.missing,
        open=_openvino(1), save=openvino.save_openvino,
    ),
    Candidate(
        name="onnx", precisions=("f32",), prepare_s=12, missing=onnx_runtime.missing, open=OnnxExecutor,
        save=onnx_runtime.save_onnx,
    ),
    Candidate(
        name="inductor", precisions=_BOTH, prepare_s=45, missing=inductor.missing, open=InductorExecutor,
        save=save_exported,
    ),
    Candidate(name="torch", precisions=_BOTH, prepare_s=0, missing=lambda: "", open=_eager, save=save_exported),
)  # fmt: skip
"""In the order in which they are taken unmeasured."""

BY_LABEL = {candidate.label: candidate for candidate in CANDIDATES}
EXECUTORS = ("auto", *dict.fromkeys(candidate.name for candidate in reversed(CANDIDATES)))
