"""A prefix as an ONNX program, exported from torch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import torch

from ...errors import UsageError
from ...models import Prefix
from .exporting import exported


def save_onnx(prefix: Prefix, program: str, weights: str) -> None:
    """Write a prefix, its weights within: one message of ONNX, which holds at most 2 GiB.

    Raises:
        UsageError: it would be larger; onnx says so by ValueError.
    """
    try:
        to_onnx(prefix).save(program, external_data=False)
    except ValueError as error:
        raise UsageError(f"{prefix.architecture} is too large for one message of ONNX: {error}") from error


def to_onnx(prefix: Prefix) -> torch.onnx.ONNXProgram:
    """uint8 [batch, height, width, 3] to features, any batch. Whatever torch.onnx raises is raised."""
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
