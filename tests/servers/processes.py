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
    """Ports that nobody has at this moment, nor those that are ``room_above`` higher.

    All are below those that a system gives to outgoing connections, which could have one before its server has.
    """
    found: list[int] = []
    taken: set[int] = set()
    while len(found) < count:
        port = random.randrange(10_240, 32_768 - room_above)
        wanted = {port, port + room_above}
        if not wanted & taken and all(map(_is_free, wanted)):
            found.append(port)
            taken |= wanted
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


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
