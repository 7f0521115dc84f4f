"""Which executor runs a prefix."""

from __future__ import annotations

import logging

import numpy as np
import torch

from hapistore_format.recipe import PRECISIONS

from ...errors import UsageError
from ...models import Prefix
from .eager import EagerExecutor
from .openvino import OpenVINOExecutor
from .protocol import Executor

EXECUTORS = ("auto", "torch", "openvino")
_log = logging.getLogger(__name__)


def open_executor(prefix: Prefix, name: str = "auto", *, sample: np.ndarray, device: str | None = None) -> Executor:
    """Make an executor for a prefix, checked against eager PyTorch.

    ``auto`` takes CUDA where there is a GPU, else OpenVINO where it is installed, can take the
    network and agrees with eager within the precision; else eager. What it passes over is logged.

    Args:
        name: ``auto``, ``torch`` or ``openvino``.
        sample: uint8 [n, height, width, 3], a few real images to compare on.
        device: a torch device; default ``cuda`` where there is one, else ``cpu``.

    Raises:
        UsageError: there is no such executor here, or its features are not within the precision.
    """
    if name not in EXECUTORS:
        raise UsageError(f"executor {name!r} is none of {', '.join(EXECUTORS)}")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    eager = EagerExecutor(prefix, device)
    if name == "torch" or (name == "auto" and device != "cpu"):
        return eager
    try:
        candidate = OpenVINOExecutor(prefix)
        error = _relative_error(candidate.run(sample), eager.run(sample))
    # Export and conversion fail in as many ways as there are networks; any of them means "not this one".
    except Exception as reason:
        if name == "openvino":
            text = str(reason).strip().splitlines()
            raise UsageError(
                f"executor openvino cannot run {prefix.architecture}: {text[0] if text else reason!r}"
            ) from (reason)
        _log.info("openvino is not used for %s: %s", prefix.architecture, reason)
        return eager
    if error > PRECISIONS["f32"]:
        if name == "openvino":
            raise UsageError(f"executor openvino is off by {error:.1e} of the largest feature, more than f32 allows")
        _log.warning("openvino is not used for %s: off by %.1e of the largest feature", prefix.architecture, error)
        return eager
    return candidate


def _relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest expected magnitude."""
    largest = float(np.abs(expected).max(initial=0.0))
    return float(np.abs(found - expected).max(initial=0.0)) / (largest or 1.0)
