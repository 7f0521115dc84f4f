"""Which executors there are, for which precisions, and in which order they are expected to be fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from . import onnx_runtime, openvino
from .protocol import Executor
from .saved_program import Source, Write

if TYPE_CHECKING:
    from ...models import Prefix


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


# What takes torch is imported when it is called: importing it takes seconds, and memory that a child which runs another
# executor has better uses for.


def _eager(source: Source, precision: str) -> Executor:
    from .eager import EagerExecutor

    return EagerExecutor(source, "cpu", precision)


def _inductor(source: Source, precision: str) -> Executor:
    from .inductor import InductorExecutor

    return InductorExecutor(source, precision)


def _inductor_missing() -> str:
    from .inductor import missing

    return missing()


def _openvino(streams: int) -> Callable[[Source, str], Executor]:
    return partial(_open_openvino, streams=streams)


def _open_openvino(source: Source, precision: str, *, streams: int) -> Executor:
    return openvino.OpenVINOExecutor(source, precision, streams)


def _save_exported(prefix: Prefix, program: str, weights: str) -> None:
    from .exporting import save_exported

    save_exported(prefix, program, weights)


def _save_onnx(prefix: Prefix, program: str, weights: str) -> None:
    from .onnx_model import save_onnx

    save_onnx(prefix, program, weights)


def _save_openvino(prefix: Prefix, program: str, weights: str) -> None:
    from .openvino_model import save_openvino

    save_openvino(prefix, program, weights)


_BOTH = ("f32", "bf16")
CANDIDATES = (
    Candidate(
        name="openvino", variant="2 streams", precisions=_BOTH, prepare_s=6, missing=openvino.missing,
        open=_openvino(2), save=_save_openvino,
        least_cores=2,
    ),
    # Its network is converted already.
    Candidate(
        name="openvino", variant="1 stream", precisions=_BOTH, prepare_s=0.5, missing=openvino.missing,
        open=_openvino(1), save=_save_openvino,
    ),
    Candidate(
        name="onnx", precisions=("f32",), prepare_s=12, missing=onnx_runtime.missing,
        open=onnx_runtime.OnnxExecutor, save=_save_onnx,
    ),
    Candidate(
        name="inductor", precisions=_BOTH, prepare_s=45, missing=_inductor_missing,
        open=_inductor, save=_save_exported,
    ),
    Candidate(
        name="torch", precisions=_BOTH, prepare_s=0, missing=lambda: "", open=_eager,
        save=_save_exported,
    ),
)  # fmt: skip
"""In the order in which they are taken unmeasured."""

BY_LABEL = {candidate.label: candidate for candidate in CANDIDATES}
EXECUTORS = ("auto", *dict.fromkeys(candidate.name for candidate in reversed(CANDIDATES)))
