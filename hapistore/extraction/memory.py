"""How much memory there is, and how much the process has taken at its peak."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_CGROUP_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_DEFAULT_SHARE = 0.8


def reset_peak() -> None:
    """Start a new high-water mark (Linux; elsewhere the mark is that of the process's life)."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return  # not Linux, or not allowed: peak_bytes then overestimates, which is the safe side


def peak_bytes() -> int:
    """The process's resident high-water mark since ``reset_peak``."""
    value = _status_bytes("VmHWM")
    if value is not None:
        return value
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """What the process occupies now."""
    value = _status_bytes("VmRSS")
    return value if value is not None else peak_bytes()


def mapped_bytes() -> int:
    """Private memory that the process has mapped, touched or not (Linux; elsewhere what it occupies)."""
    value = _status_bytes("VmData")
    return value if value is not None else resident_bytes()


def default_budget(occupied_bytes: int | None = None) -> int:
    """A budget for a whole process: 80 % of what the machine or its cgroup still has, and what it holds.

    Args:
        occupied_bytes: what it holds, where it is another process than this one.
    """
    free = [_machine_free()]
    for limit_file, usage_file in _CGROUP_FILES:
        limit, usage = _read_number(limit_file), _read_number(usage_file)
        if limit is not None and usage is not None:
            free.append(max(0, limit - usage))
    known = [value for value in free if value is not None]
    return (resident_bytes() if occupied_bytes is None else occupied_bytes) + int(
        _DEFAULT_SHARE * (min(known) if known else 2 << 30)
    )


def _status_bytes(key: str) -> int | None:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def _machine_free() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def _read_number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # absent, or the word "max"
        return None
