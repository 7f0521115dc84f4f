"""A control group with a memory limit that the kernel enforces, version 1 or 2, and processes started in it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hapistore.extraction import cgroups


class NoGroup(Exception):
    """No group can be made here; the text says why."""


@dataclass(frozen=True)
class MemoryGroup:
    """Attributes:
    folder: the group's. version: of control groups, 1 or 2.
    """

    folder: Path
    version: int

    def run(self, command: Sequence[str], **more: object) -> subprocess.CompletedProcess[str]:
        """Run a command, and all that it starts, within the limit."""
        joined = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.folder), *command]
        return subprocess.run(joined, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]

    @property
    def kills(self) -> int:
        """How many of its processes the kernel has killed for their memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        lines = (self.folder / name).read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    @property
    def peak_bytes(self) -> int:
        """The most it had at once, files' pages included; 0 where nobody tells."""
        path = self.folder / ("memory.max_usage_in_bytes" if self.version == 1 else "memory.peak")
        return int(path.read_text()) if path.exists() else 0


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup]:
    """Make a group below this process's own, and remove it.

    Raises:
        NoGroup: it cannot be made.
    """
    version, own = _own_group()
    folder = own / f"hapistore-benchmark-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        raise NoGroup(
            f"{folder} cannot be made: {error.strerror}; run as root, where control groups can be written"
        ) from error
    try:
        limit = folder / ("memory.limit_in_bytes" if version == 1 else "memory.max")
        if not limit.exists():
            raise NoGroup(f"{folder} has no {limit.name}: the memory controller is not handed down to it")
        limit.write_text(str(limit_bytes))
        yield MemoryGroup(folder, version)
    finally:
        _remove(folder)


def _own_group() -> tuple[int, Path]:
    for version, folder in cgroups.groups():
        if folder.is_dir():
            return version, folder
    raise NoGroup("this process is in no control group that limits memory; mount one, as root")


def _remove(folder: Path) -> None:
    """Once its last process has gone, which the kernel notices a moment later."""
    for _ in range(100):
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{folder} is still in use")
