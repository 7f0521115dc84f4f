"""The parent's side of an executor's process: starting it, asking it, and noticing its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .child_messages import Kind, Message, receive, send
from .confining import confined_command
from .saved_program import SavedProgram
from .shared_array import SharedArray, open_unnamed

_STDERR_BYTES = 2000
_END_S = 2.0
# All that the child needs of the environment; credentials have other names.
_NAMES = {
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
    "PYTHONHASHSEED",
    "XDG_CACHE_HOME",
    "CXX",
}
_PREFIXES = (
    "LC_",
    "OMP_",
    "MKL_",
    "KMP_",
    "OPENBLAS_",
    "GOMP_",
    "NUMBA_",
    "MALLOC_",
    "CUDA_",
    "NVIDIA_",
    "PYTORCH_",
    "TORCHINDUCTOR_",
)


@dataclass(frozen=True)
class Death:
    """How a child ended.

    Attributes:
        status: as subprocess tells it: an exit status, or a signal below 0. hung: whether we ended it for its silence.
        stderr: the end of what it printed, in one line.
    """

    status: int
    hung: bool
    stderr: str

    @property
    def signal(self) -> int | None:
        return -self.status if self.status < 0 and not self.hung else None

    @property
    def reason(self) -> str:
        return "hung" if self.hung else "crashed"

    def __str__(self) -> str:
        if self.hung:
            return "the executor's process did not answer in time and was ended"
        how = signal.Signals(-self.status).name if self.status < 0 else f"with status {self.status}"
        return f"the executor's process ended ({how})"


class ChildHandle:
    """One child at a time, and the memory shared with it.

    Args:
        program: what it makes its executor from; closed with this.
        setup: what else it is told; plain data.
        confine: for a program that somebody else wrote, ``required`` or ``optional``, as in `confined_command`.
    """

    def __init__(self, program: SavedProgram, setup: Mapping[str, Any], *, confine: str | None = None) -> None:
        self._program, self._confine = program, confine
        self._pixels, self._features = (SharedArray(open_unnamed(purpose)) for purpose in ("pixels", "features"))
        self._feature_shape = program.feature_shape
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._lifeline, self._stderr = -1, -1
        self.pid = 0
        self._setup = {
            **setup,
            "pixel_shape": program.pixel_shape,
            "feature_shape": program.feature_shape,
            "levels": program.levels,
        }

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start a child, and end the one before."""
        self._reap()
        self._stderr = open_unnamed("stderr")
        ours, theirs = socket.socketpair()
        end, self._lifeline = os.pipe()
        try:
            self._channel = ours
            inherited = {
                "channel": theirs.fileno(),
                "lifeline": end,
                "pixels": self._pixels.descriptor,
                "features": self._features.descriptor,
                "program": self._program.descriptors[0],
                "weights": self._program.descriptors[1],
            }
            self._process = subprocess.Popen(
                self._command(json.dumps({**self._setup, **inherited})),
                pass_fds=tuple(inherited.values()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env=child_environment(),
                start_new_session=True,  # Ctrl-C is the parent's to answer
            )
            self.pid = self._process.pid
        finally:
            theirs.close()
            os.close(end)

    def _command(self, setup: str) -> list[str]:
        module = f"{__package__}.child_process"
        if self._confine is None:
            return [sys.executable, "-m", module, setup]
        return confined_command(module, setup, required=self._confine == "required")

    def ask(self, kind: Kind, pixels: np.ndarray | None = None, *, timeout_s: float) -> Message | Death:
        """Hand pixels over, if there are any, and wait for the answer; a child that gives none is ended."""
        if self._channel is None:
            raise RuntimeError("no child was started")
        if pixels is not None:
            self._pixels.view(pixels.shape, np.uint8)[:] = pixels
            self._features.view((len(pixels), *self._feature_shape), np.float32)
        hung, answer = False, None
        self._channel.settimeout(timeout_s)
        try:
            send(self._channel, Message(kind, 0 if pixels is None else len(pixels)))
            answer = receive(self._channel)
        except TimeoutError:
            hung = True
        except ConnectionError:  # it had ended before it was asked
            answer = None
        except BaseException:  # Ctrl-C: the answer, when it came, would be taken for that to another question
            self._reap(at_once=True)
            raise
        return answer or self._reap(hung=hung, at_once=hung)

    def features(self, rows: int) -> np.ndarray:
        """float32 [rows, *shape] that the child left, as a copy."""
        return self._features.view((rows, *self._feature_shape), np.float32).copy()

    def end(self) -> None:
        """End the child, at once; ``start`` starts another."""
        self._reap(at_once=True)

    def close(self) -> None:
        """End the child; nothing of it stays."""
        self._reap()
        self._pixels.close()
        self._features.close()
        self._program.close()

    def _reap(self, *, hung: bool = False, at_once: bool = False) -> Death:
        """End the child if it runs, and let go of all that was its own."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        status, text = 0, ""
        if self._process is not None:
            if not at_once:  # its socket closes a moment before its end can be seen
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_END_S)
            self._process.kill()
            status = self._process.wait()
            self._process = None
        if self._stderr >= 0:
            size = os.fstat(self._stderr).st_size
            data = os.pread(self._stderr, _STDERR_BYTES, max(0, size - _STDERR_BYTES))
            text = " ".join(data.decode(errors="replace").split())
            os.close(self._stderr)
        if self._lifeline >= 0:
            os.close(self._lifeline)
        self._lifeline = self._stderr = -1
        return Death(status, hung, text)


def child_environment() -> dict[str, str]:
    """What a child gets of ours."""
    kept = {name: value for name, value in os.environ.items() if name in _NAMES or name.startswith(_PREFIXES)}
    # As this process finds its modules; the folder it was started in is not one of them unless it is here.
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONSAFEPATH": "1"}
