"""A foreign ONNX program before it is taken: looked at, opened and run, each in a process that may die of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
from contextlib import closing

import numpy as np

from ...errors import ExecutorFailed, HapistoreError, OutOfMemory, UsageError
from ...extraction import memory
from ...extraction.executors import ChildExecutor
from ...extraction.executors.agreement import compare
from ...extraction.executors.child_handle import child_environment
from ...extraction.executors.confining import NOT_CONFINED, confined_command
from ...extraction.executors.shared_array import open_unnamed
from ...models import OnnxPrefix
from .intake_limits import IntakeLimits
from .onnx_check import Rules

_CHECK = f"{__package__}.onnx_check"
# Python and onnx; and of a program that much more, parsed and copied.
_CHECK_BYTES, _CHECK_TIMES = 1 << 30, 4
# Opened, its weights are there as they came, as tensors, and packed for the processor.
_OPEN_TIMES = 4
_ANSWER_BYTES = 1 << 16
_MOST_TEXT = 500
# Numerical libraries take memory for each thread; checking needs one.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def try_program(prefix: OnnxPrefix, limits: IntakeLimits) -> None:
    """Check a program, and run it on a black image and on noise.

    Raises:
        UsageError: it breaks a rule, ends its process, takes too long or too much, or its features are not finite or
            depend on which other images they are made with.
    """
    refused = _look(prefix, limits)
    if refused is None:
        refused = _run(prefix, limits)
    if refused is not None:
        raise UsageError(f"the ONNX program of {prefix.architecture} is refused: {refused}")


def _look(prefix: OnnxPrefix, limits: IntakeLimits) -> str | None:
    rules = Rules(
        image_px=prefix.preprocess.crop_px,
        feature_shape=tuple(prefix.feature_shape),
        max_value_bytes=limits.max_memory_bytes,
        max_nodes=limits.max_nodes,
    )
    program, answer, errors = (open_unnamed(purpose) for purpose in ("program", "answer", "stderr"))
    try:
        with open(program, "wb", closefd=False) as file:
            file.write(prefix.code)
        command = confined_command(
            _CHECK,
            json.dumps({"program": program, "rules": rules.to_json()}),
            required=prefix.must_confine,
            data_bytes=_CHECK_BYTES + _CHECK_TIMES * len(prefix.code),
        )
        return _answer_of(command, program, answer, errors, limits.max_seconds)
    finally:
        for descriptor in (program, answer, errors):
            os.close(descriptor)


def _answer_of(command: list[str], program: int, answer: int, errors: int, timeout_s: float) -> str | None:
    """What a check says; how it ended where it says nothing."""
    try:
        status = subprocess.run(
            command,
            pass_fds=(program,),
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=errors,
            env={**child_environment(), **_ONE_THREAD},
            start_new_session=True,
            timeout=timeout_s,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return f"looking at it takes more than {timeout_s:g} s"
    if status == 0:
        refused = json.loads(os.pread(answer, _ANSWER_BYTES, 0))["refused"]
        return None if refused is None else str(refused)
    said = os.pread(errors, _ANSWER_BYTES, 0).decode(errors="replace")
    if NOT_CONFINED in said:
        raise UsageError(" ".join(said.split()))
    how = signal.Signals(-status).name if status < 0 else f"status {status}"
    return f"the process that looked at it ended ({how}), as when it takes too much memory"


def _run(prefix: OnnxPrefix, limits: IntakeLimits) -> str | None:
    room = memory.resident_bytes() + limits.max_memory_bytes + _OPEN_TIMES * len(prefix.code)
    noise = np.random.default_rng(0).integers(0, 256, prefix.pixel_shape, dtype=np.uint8)
    pixels = np.stack([np.zeros_like(noise), noise])
    try:
        executor = ChildExecutor(
            prefix,
            "onnx",
            memory_bytes=room,
            patience_s=limits.max_seconds,
            first_image_s=limits.max_seconds,
            start_s=limits.max_seconds,
        )
        with closing(executor):
            alone = np.concatenate([executor.run(pixels[:1]), executor.run(pixels[1:])])
            together = executor.run(pixels)
    except (OutOfMemory, ExecutorFailed, HapistoreError) as error:
        return textwrap.shorten(f"it does not run within its bounds: {error}", _MOST_TEXT)
    if not np.isfinite(alone).all():
        return "its features of a black image or of noise are not finite"
    agreement = compare(together, alone)
    if not agreement.within("f32"):
        return f"an image's features depend on the others of its batch: they are {agreement}"
    return None
