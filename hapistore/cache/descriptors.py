"""Open files whose locks belong to this process, and not to the children that it forks.

A lock is dropped when the last copy of its descriptor is closed. A child that kept one would keep its parent alive in
the eyes of all others.
"""

from __future__ import annotations

import os

_held: set[int] = set()


def keep_from_children(descriptor: int) -> int:
    """Have a child that is forked close this descriptor first; returns it."""
    _held.add(descriptor)
    return descriptor


def close_kept(descriptor: int) -> None:
    """Close it in this process."""
    _held.discard(descriptor)
    os.close(descriptor)


def _after_fork() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)
