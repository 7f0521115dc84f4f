"""Servers as child processes on loopback: started, waited for, and ended with everything they started."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_READY_WITHIN_S = 60.0


def free_ports(count: int, *, room_above: int = 0) -> list[int]:
    """Ports that nobody listens on at this moment, nor on those that are ``room_above`` higher."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 55_000)
        if port not in found and not is_listening(port) and not (room_above and is_listening(port + room_above)):
            found.append(port)
    return found


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(command: Sequence[str | Path], log: Path, ready: Callable[[], bool], **options: object) -> Iterator[int]:
    """A server, from when it is ready; yields its process number.

    Raises:
        RuntimeError: it ended, or was not ready in time; with the end of its log.
    """
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=output, start_new_session=True, **options
        )
    try:
        _wait(process, log, ready)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"a server did not start: …{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)
