"""How much memory there is, and how much the process has taken at its peak."""

from __future__ import annotations

import ctypes
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
# glibc's; None where the C library is another one.
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def reset_peak() -> None:
    """Give back what the allocator holds free, and start a new high-water mark.

    Linux; elsewhere the mark is that of the process's life. glibc keeps freed tensors of up to 32 MiB in its heap,
    pieces that the next batch's do not fit into: eager PyTorch took a third more memory that way, and not the same
    twice.
    """
    if _malloc_trim is not None:
        _malloc_trim(0)
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


def default_budget() -> int:
    """A budget for the whole process: 80 % of what the machine or its cgroup still has, and what it holds."""
    free = [_machine_free()]
    for limit_file, usage_file in _CGROUP_FILES:
        limit, usage = _read_number(limit_file), _read_number(usage_file)
        if limit is not None and usage is not None:
            free.append(max(0, limit - usage))
    known = [value for value in free if value is not None]
    return resident_bytes() + int(_DEFAULT_SHARE * (min(known) if known else 2 << 30))


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
