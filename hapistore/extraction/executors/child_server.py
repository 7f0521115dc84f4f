"""What runs in the executor's process once torch is there: one executor, fed through shared memory."""

from __future__ import annotations

import resource
import socket
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ExecutorFailed, OutOfMemory
from .. import memory
from .candidates import BY_LABEL
from .child_messages import Kind, Message, receive, send
from .protocol import Executor, executor_failed
from .saved_program import SavedProgram
from .shared_array import SharedArray

_LEAST_ROOM = 64 << 20
_SLACK = 1.25  # what is mapped and never touched counts against the limit


@dataclass(frozen=True)
class _Memory:
    pixels: SharedArray
    features: SharedArray
    pixel_shape: tuple[int, ...]
    feature_shape: tuple[int, ...]


def serve(setup: dict[str, Any], channel: socket.socket) -> None:
    """Answer ``START`` once and then each ``RUN``, until the parent has gone."""
    shapes = tuple(setup["pixel_shape"]), tuple(setup["feature_shape"])
    shared = _Memory(SharedArray(setup["pixels"]), SharedArray(setup["features"]), *shapes)
    program = SavedProgram(
        (setup["program"], setup["weights"]),
        pixel_shape=shared.pixel_shape,
        feature_shape=shared.feature_shape,
        levels=setup["levels"],
    )
    if receive(channel) is None:
        return
    if setup["levels"] and setup["memory_bytes"]:  # a program that somebody else wrote: opening it takes memory too
        _limit_memory(setup["memory_bytes"], memory.mapped_bytes(), for_good=True)
    try:
        executor = _open(setup, program)
    except Exception as error:  # compiling fails in as many ways as there are networks
        send(channel, Message(Kind.REFUSED, text=executor_failed(error).detail))
        return
    idle = executor.idle_bytes()
    if setup["memory_bytes"] and executor.device == "cpu":
        _limit_memory(setup["memory_bytes"] - idle, memory.mapped_bytes())
    send(channel, Message(Kind.DONE, idle_bytes=idle, free_bytes=executor.free_bytes(), text=executor.device))
    while message := receive(channel):
        send(channel, _run(executor, shared, message.rows))


def _open(setup: dict[str, Any], program: SavedProgram) -> Executor:
    if setup["device"] != "cpu":
        from .eager import EagerExecutor  # which imports torch

        return EagerExecutor(program, setup["device"], setup["precision"])
    return BY_LABEL[setup["candidate"]].open(program, setup["precision"])


def _run(executor: Executor, shared: _Memory, rows: int) -> Message:
    pixels = shared.pixels.view((rows, *shared.pixel_shape), np.uint8)
    try:
        features = executor.run(pixels)
        shared.features.view((rows, *shared.feature_shape), np.float32)[:] = features
    except OutOfMemory as error:
        return Message(Kind.OUT_OF_MEMORY, text=str(error))
    except ExecutorFailed as error:
        return Message(Kind.FAILED, text=error.detail)
    idle = executor.idle_bytes()  # before the peak, which looking adds to
    return Message(Kind.DONE, rows, executor.peak_bytes(), idle, executor.free_bytes())


def _limit_memory(more_bytes: int, mapped_bytes: int, *, for_good: bool = False) -> None:
    """Let allocations fail that go far beyond a budget.

    Args:
        more_bytes: what the budget leaves; mapped_bytes: private memory that is mapped now.
        for_good: nothing in this process can raise the limit again.
    """
    limit = mapped_bytes + max(_LEAST_ROOM, int(_SLACK * more_bytes))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit if for_good else hard))
