"""Control groups whose limits of memory or of the processor the kernel enforces, version 1 or 2."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hapistore.extraction import cgroups

_PERIOD_US = 25_000  # short beside a request


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
    """A group of processes that have so much memory together.

    Raises:
        NoGroup: it cannot be made.
    """
    limits = {1: {"memory.limit_in_bytes": str(limit_bytes)}, 2: {"memory.max": str(limit_bytes)}}
    with _group("memory", limits) as (version, folder):
        yield MemoryGroup(folder, version)


@contextmanager
def cpu_share(share: float, pids: Sequence[int]) -> Iterator[None]:
    """Give processes, with all that they start meanwhile, so much of a core together.

    Raises:
        NoGroup: the group cannot be made.
    """
    quota = round(share * _PERIOD_US)
    limits = {
        1: {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": str(quota)},
        2: {"cpu.max": f"{quota} {_PERIOD_US}"},
    }
    with _group("cpu", limits) as (_, folder):
        _move(pids, folder)
        try:
            yield
        finally:
            _move(map(int, (folder / "cgroup.procs").read_text().split()), folder.parent)


def _move(pids: Iterable[int], folder: Path) -> None:
    for pid in pids:
        (folder / "cgroup.procs").write_text(str(pid))


@contextmanager
def _group(controller: str, limits: Mapping[int, Mapping[str, str]]) -> Iterator[tuple[int, Path]]:
    """Make a group below this process's own, and remove it; its version and folder."""
    version, own = _own_group(controller)
    folder = own / f"hapistore-benchmark-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        raise NoGroup(
            f"{folder} cannot be made: {error.strerror}; run as root, where control groups can be written"
        ) from error
    try:
        for name, value in limits[version].items():
            if not (folder / name).exists():
                raise NoGroup(f"{folder} has no {name}: the {controller} controller is not handed down to it")
            (folder / name).write_text(value)
        yield version, folder
    finally:
        _remove(folder)


def _own_group(controller: str) -> tuple[int, Path]:
    for version, folder in cgroups.groups(controller=controller):
        if folder.is_dir():
            return version, folder
    raise NoGroup(f"this process is in no control group with the controller {controller}; mount one, as root")


def _remove(folder: Path) -> None:
    """Once its last process has gone, which the kernel notices a moment later."""
    for _ in range(100):
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{folder} is still in use")
