"""What happens to files by accident."""

from __future__ import annotations


def flip(data: bytes, at: int, bit: int = 0) -> bytes:
    """The file with one bit of byte ``at`` flipped; from the end where that is negative."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def patch(data: bytes, at: int, new: bytes) -> bytes:
    """The file with other bytes at ``at``."""
    return data[:at] + new + data[at + len(new) :]
