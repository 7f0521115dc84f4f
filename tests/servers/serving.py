"""``hapistore serve`` as a process: started, waited for, ended or killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_END_S = 60.0


@dataclass
class Serving:
    """A service that runs.

    Attributes:
        url: what clients connect to; watched_at: ``host:port`` of the side port, "" where there is none.
    """

    process: subprocess.Popen[str]
    url: str
    watched_at: str
    log: Path

    @property
    def location(self) -> str:
        """``host:port``."""
        return self.url.rpartition("/")[2]

    def kill(self) -> None:
        """As `kill -9`, with all that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        """SIGTERM, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_END_S)

    def logged(self) -> list[dict[str, object]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def serving(
    store: str | Path, *options: object, log: Path, environment: Mapping[str, str], port: int = 0
) -> Iterator[Serving]:
    """A service before a store, from when it listens.

    Args:
        options: of ``hapistore serve``; without ``--metrics`` there is no side port.
        environment: of the process.

    Raises:
        RuntimeError: it ended before it listened; with the end of its log.
    """
    arguments = [*map(str, options)]
    if "--metrics" not in arguments:
        arguments += ["--metrics", "none"]
    if "--listen" not in arguments:
        arguments += ["--listen", f"127.0.0.1:{port}"]
    command = [sys.executable, "-m", "hapistore", "serve", "--store", str(store), "--json", *arguments]
    with open(log, "ab") as output:
        # One thread for each library: others' tests run beside this one.
        process = subprocess.Popen(
            command,
            env={**environment, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the service did not start: …{log.read_text()[-2000:]}")
        told = json.loads(line)
        yield Serving(process, told["url"], told["watched_at"], log)
    finally:
        process.stdout.close()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # executors, where it was killed itself
