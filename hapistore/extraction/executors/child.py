"""An executor in a process of its own: whatever ends it costs a batch, which is then tried in halves."""

from __future__ import annotations

import logging
import signal
import time
import weakref

import numpy as np

from ...errors import ExecutorFailed, HapistoreError, OutOfMemory, UsageError
from ...models import AnyPrefix, OnnxPrefix
from .. import memory
from .candidates import BY_LABEL
from .child_handle import ChildHandle, Death
from .child_messages import Kind, Message
from .saved_program import SavedProgram

_log = logging.getLogger(__name__)
# How often one image alone is tried that the child is killed at, and that it crashes at.
_TRIES_ALONE, _TRIES_ALONE_CRASHED = 5, 2
_TRIES_TO_START = 5
_START_S = 600.0
# Before anything was measured an image may take this long; afterwards, so many times the slowest.
_FIRST_IMAGE_S, _TIMES_SLOWEST = 60.0, 30


class ChildExecutor:
    """Runs any executor in a child process, started again when it dies.

    A death for want of memory (SIGKILL) is ``OutOfMemory``, any other is ``ExecutorFailed``; so a batch is halved. One
    image alone is tried again: twice in all where it crashes, five times where it is killed, since whoever kills from
    outside may meet it by chance. The child has no credentials in its environment and no open files of ours.

    The child makes its executor from a program that was exported here, so a network that cannot be exported cannot run
    in a child; of a prefix that came as an ONNX program, from that, confined. Peaks and idle memory count this process
    in, whose memory the budget is for as well (on a CPU).

    Args:
        label: of one of ``CANDIDATES``.
        device: a torch device; other than ``cpu`` for label ``torch`` only.
        memory_bytes: what both processes may occupy; far beyond it, the child's allocations fail (on a CPU).
        patience_s: how long the child may be silent, besides what its batches take; first_image_s: how long an image
            may take before one was measured; start_s: how long it may take to be ready.

    Attributes:
        restarts: how often it was started again.

    Raises:
        HapistoreError: there can be no such executor, or the child ends before it is ready, each time.
        Exception: whatever exporting the network raises.
    """

    def __init__(
        self,
        prefix: AnyPrefix,
        label: str,
        precision: str = "f32",
        *,
        device: str = "cpu",
        memory_bytes: int | None = None,
        patience_s: float = 60.0,
        first_image_s: float = _FIRST_IMAGE_S,
        start_s: float = _START_S,
    ) -> None:
        candidate = BY_LABEL[label]
        self.name, self.variant, self.precision, self.device = candidate.name, candidate.variant, precision, device
        self._on_cpu = device == "cpu"
        setup = {
            "candidate": label,
            "precision": precision,
            "device": device,
            "memory_bytes": memory_bytes and max(1, memory_bytes - memory.resident_bytes()),
        }
        if isinstance(prefix, OnnxPrefix):
            if (label, precision, device) != ("onnx", "f32", "cpu"):
                raise UsageError(f"{prefix.architecture} is an ONNX program, which runs as onnx f32 on CPUs only")
            confine = "required" if prefix.must_confine else "optional"
            self._child = ChildHandle(SavedProgram.of_onnx(prefix), setup, confine=confine)
        else:
            self._child = ChildHandle(SavedProgram.of(prefix, candidate.save), setup)
        self._end = weakref.finalize(self, self._child.close)
        self._patience_s, self._first_image_s, self._start_s = patience_s, first_image_s, start_s
        self._slowest_s = 0.0
        self._peak = self._idle = self._free = 0
        self.restarts = -1
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The child's process number; that of the last one, where it has died."""
        return self._child.pid

    def run(self, pixels: np.ndarray) -> np.ndarray:
        memory.begin_run((id(self), len(pixels)))
        alone = len(pixels) == 1
        number = 0
        while True:
            if not self._child.alive:
                self._start()
            answer = self._ask(pixels)
            if isinstance(answer, Message):
                return self._take(answer, len(pixels))
            number += 1
            _log.warning("%s while it ran %d images; it is started again", answer, len(pixels))
            tries = _TRIES_ALONE if answer.signal == signal.SIGKILL else _TRIES_ALONE_CRASHED
            if not alone or number >= tries:
                raise _failure(answer, len(pixels), number)

    @property
    def child_peak_bytes(self) -> int:
        """Of the last run, in the child alone."""
        return self._peak

    @property
    def child_idle_bytes(self) -> int:
        """Between runs, in the child alone."""
        return self._idle

    def end_child(self) -> None:
        """End the child, whose memory the next ``run`` starts anew: executors keep what their largest batch took."""
        self._child.end()

    def peak_bytes(self) -> int:
        return self._peak + (memory.peak_bytes() if self._on_cpu else 0)

    def idle_bytes(self) -> int:
        return self._idle + (memory.resident_bytes() if self._on_cpu else 0)

    def free_bytes(self) -> int:
        return memory.free_bytes() if self._on_cpu else self._free

    def close(self) -> None:
        self._end()

    def _ask(self, pixels: np.ndarray) -> Message | Death:
        per_image = self._slowest_s * _TIMES_SLOWEST or self._first_image_s
        started = time.monotonic()
        answer = self._child.ask(Kind.RUN, pixels, timeout_s=self._patience_s + len(pixels) * per_image)
        if isinstance(answer, Message):
            self._slowest_s = max(self._slowest_s, (time.monotonic() - started) / len(pixels))
        return answer

    def _take(self, answer: Message, rows: int) -> np.ndarray:
        if answer.kind == Kind.OUT_OF_MEMORY:
            raise OutOfMemory(answer.text)
        if answer.kind == Kind.FAILED:
            raise ExecutorFailed("failed", answer.text)
        self._peak, self._idle, self._free = answer.peak_bytes, answer.idle_bytes, answer.free_bytes
        return self._child.features(rows)

    def _start(self) -> None:
        """Start the child, again and again where it is killed meanwhile.

        Raises:
            HapistoreError: there can be no such executor, or it ends each time.
        """
        tried = 0
        while True:
            self._child.start()
            answer = self._child.ask(Kind.START, timeout_s=self._start_s)
            if isinstance(answer, Message):
                break
            tried += 1
            # One that ended on its own account would again.
            if answer.signal is None or tried == _TRIES_TO_START:
                often = f", {tried} times" if tried > 1 else ""
                raise HapistoreError(f"{answer} before it was ready{often}: {answer.stderr or 'it said nothing'}")
        if answer.kind != Kind.DONE:
            raise HapistoreError(f"the executor's process cannot run it: {answer.text}")
        self.restarts += 1
        self.device = answer.text
        self._idle, self._free = answer.idle_bytes, answer.free_bytes


def _failure(death: Death, rows: int, times: int) -> HapistoreError:
    """What the worker is told of a batch that ended its executor so often."""
    if death.signal == signal.SIGKILL and rows > 1:
        return OutOfMemory(f"{rows} images: the executor's process was killed, as when memory runs out", killed=True)
    detail = f"{death}, {times} times in a row" if times > 1 else str(death)
    return ExecutorFailed(death.reason, detail, killed=death.signal == signal.SIGKILL)
