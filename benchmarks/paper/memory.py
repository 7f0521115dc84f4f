"""The most memory that processes had at once, each by the kernel's own count (root)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_RESET_PEAK = "5"  # proc(5), clear_refs: the resident set's high-water mark


def tree(of: Iterable[int]) -> list[int]:
    """Processes, and all that they started."""
    found = list(of)
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def reset_peaks(pids: Iterable[int]) -> None:
    """Have peaks begin at what they have now."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def peak_bytes(pids: Iterable[int]) -> int:
    """The peaks' sum, which is at least what they had at any one time."""
    return sum(_high_water_bytes(pid) for pid in pids)


def _high_water_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
