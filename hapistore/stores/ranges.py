"""Ranges of an object that lie near each other, as one request: a round trip costs more than the bytes between."""

from __future__ import annotations

from collections.abc import Sequence

NEAR_BYTES = 1 << 20

Range = tuple[int, int]


def merge_ranges(ranges: Sequence[Range], *, near_bytes: int = NEAR_BYTES) -> list[Range]:
    """Ranges ``[start, stop)`` that cover the given ones, in order, more than ``near_bytes`` apart."""
    merged: list[Range] = []
    for start, stop in sorted(ranges):
        if merged and start - merged[-1][1] <= near_bytes:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged
