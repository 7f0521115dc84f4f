"""How much memory there is, and how much the process has taken at its peak.

Peaks are the kernel's high-water mark of the whole process: what other threads hold at that moment, decoded pixels or
features on their way to the store, is in it, and so is what allocators keep of earlier batches. That is what a limit
on the process is about, so it is what a budget for the process must be compared with; of two jobs in one process it
says only the sum.
"""

from __future__ import annotations

import ctypes
import resource
import sys
import time
from collections.abc import Hashable
from pathlib import Path

from . import cgroups

_STATUS = Path("/proc/self/status")
_VMSTAT = Path("/proc/vmstat")
_CLEAR_REFS = Path("/proc/self/clear_refs")
# glibc's; None where the C library is another one.
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
# Where nothing can be found out.
_UNKNOWN_FREE = 2 << 30
# For so long is a mark good for more runs of one kind: to start one takes a millisecond or two.
_MARK_SECONDS = 0.1
_mark: tuple[object, float] = (None, 0.0)


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


def begin_run(kind: Hashable) -> None:
    """``reset_peak``, unless that was done a moment ago and all runs since were of this kind: the mark is theirs."""
    global _mark
    now = time.monotonic()
    last, at = _mark
    if last != kind or now > at + _MARK_SECONDS:
        reset_peak()
        _mark = (kind, now)


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


def free_bytes() -> int:
    """What the machine and the control groups around this process have free."""
    known = [value for value in (_machine_free(), cgroups.free_bytes()) if value is not None]
    return min(known, default=_UNKNOWN_FREE)


def occupied_bytes(pid: int) -> int:
    """What another process occupies now; 0 where it has gone, or nobody tells."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def kills() -> int | None:
    """How many processes the kernel has killed for want of memory since it started, in any control group (Linux)."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _status_bytes(key: str) -> int | None:
    try:
        with open(_STATUS, "rb", buffering=0) as file:  # asked for after every batch: a third of what text takes
            status = file.read()
    except OSError:
        return None
    _, found, rest = status.partition(b"\n%b:" % key.encode())
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else None


def _machine_free() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None
