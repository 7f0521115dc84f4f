"""The executor's process: ``python -m hapistore.extraction.executors.child_process SETUP``, started by ``child.py``.

It has the descriptors that SETUP names and no others, and ends when its parent does.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from .child_server import serve


def main(setup: dict[str, Any]) -> None:
    """Serve until the channel closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _end_with(setup["lifeline"])
    _be_first_to_go()
    serve(setup, socket.socket(fileno=setup["channel"]))


def _end_with(lifeline: int) -> None:
    """End when the other end of a pipe closes, whatever this process is doing then."""

    def wait() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=wait, name="hapistore-lifeline", daemon=True).start()
    if hasattr(fcntl, "F_SETOWN") and hasattr(os, "O_ASYNC"):
        # SIGIO ends a process that does not handle it, also one whose threads are all in a library that hangs.
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _be_first_to_go() -> None:
    """Let the kernel choose this process where the machine's memory runs out (Linux)."""
    score = Path("/proc/self/oom_score_adj")
    if score.exists() and os.access(score, os.W_OK):
        score.write_text("1000")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
