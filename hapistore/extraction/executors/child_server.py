"""What runs in the executor's process once torch is there: one executor, fed through shared memory."""

from __future__ import annotations

import resource
import socket
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch import nn

from ...errors import ExecutorFailed, HapistoreError, OutOfMemory
from ...models import Prefix
from .. import memory
from .child_messages import Kind, Message, receive, send
from .child_module import read_module
from .choosing import open_executor
from .protocol import Executor
from .shared_array import SharedArray

_LEAST_ROOM = 64 << 20
_SLACK = 1.25  # what is mapped and never touched counts against the limit


@dataclass(frozen=True)
class _Memory:
    pixels: SharedArray
    features: SharedArray
    pixel_shape: tuple[int, ...]
    feature_shape: tuple[int, ...]


@dataclass(frozen=True)
class _Pixels:
    pixel_shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Received:
    """What executors ask of a prefix."""

    module: nn.Module
    architecture: str
    feature_shape: tuple[int, ...]
    preprocess: _Pixels


def serve(setup: dict[str, Any], channel: socket.socket) -> None:
    """Answer ``START`` once and then each ``RUN``, until the parent has gone."""
    shared = _Memory(
        SharedArray(setup["pixels"]),
        SharedArray(setup["features"]),
        tuple(setup["pixel_shape"]),
        tuple(setup["feature_shape"]),
    )
    first = receive(channel)
    if first is None:
        return
    try:
        executor = _open(setup, shared, first.rows)
    except HapistoreError as error:
        send(channel, Message(Kind.REFUSED, text=str(error)))
        return
    idle = executor.idle_bytes()
    if setup["memory_bytes"] and executor.device == "cpu":
        _limit_memory(setup["memory_bytes"] - idle, memory.mapped_bytes())
    send(channel, Message(Kind.DONE, idle_bytes=idle, text=f"{executor.name}\n{executor.device}"))
    while message := receive(channel):
        send(channel, _run(executor, shared, message.rows))


def _open(setup: dict[str, Any], shared: _Memory, rows: int) -> Executor:
    module = read_module(setup["module"], setup["how"], setup["device"])
    prefix = _Received(module, setup["architecture"], shared.feature_shape, _Pixels(shared.pixel_shape))
    sample = shared.pixels.view((rows, *shared.pixel_shape), np.uint8)
    return open_executor(cast(Prefix, prefix), setup["executor"], sample=sample, device=setup["device"])


def _run(executor: Executor, shared: _Memory, rows: int) -> Message:
    pixels = shared.pixels.view((rows, *shared.pixel_shape), np.uint8)
    try:
        features = executor.run(pixels)
        shared.features.view((rows, *shared.feature_shape), np.float32)[:] = features
    except OutOfMemory as error:
        return Message(Kind.OUT_OF_MEMORY, text=str(error))
    except ExecutorFailed as error:
        return Message(Kind.FAILED, text=error.detail)
    return Message(Kind.DONE, rows, executor.peak_bytes(), executor.idle_bytes())


def _limit_memory(more_bytes: int, mapped_bytes: int) -> None:
    """Let allocations fail that go far beyond a budget.

    Args:
        more_bytes: what the budget leaves; mapped_bytes: private memory that is mapped now.
    """
    limit = mapped_bytes + max(_LEAST_ROOM, int(_SLACK * more_bytes))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
