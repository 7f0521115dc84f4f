"""Several objects as one: how many, how long each is (64-bit words, the lowest byte first), and one after another.

Each begins at a whole word, as Arrow wants of what it reads in place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_WORD = np.dtype("<u8")


def bundle(objects: Sequence[memoryview]) -> memoryview:
    """All of them."""
    parts: list[bytes | memoryview] = [np.array([len(objects), *map(len, objects)], _WORD).tobytes()]
    for one in objects:
        parts += [one, bytes(-len(one) % _WORD.itemsize)]
    return memoryview(b"".join(parts))


def unbundle(data: memoryview, *, most: int) -> list[memoryview]:
    """What was put together: one object at least, and ``most`` at most. Nothing is copied.

    Raises:
        ValueError: it does not add up.
    """
    if len(data) % _WORD.itemsize:
        raise ValueError(f"{len(data):,} bytes came, which are no whole words")
    words = np.frombuffer(data, _WORD)
    count = int(words[0]) if len(words) else 0
    if not 0 < count <= min(most, len(words) - 1):
        raise ValueError(f"{count} objects came, expected 1 to {most}")
    found, start = [], _WORD.itemsize * (1 + count)
    for size in words[1 : 1 + count].tolist():
        found.append(data[start : start + size])
        start += size + -size % _WORD.itemsize
    if start != len(data):
        raise ValueError(f"{len(data):,} bytes came, expected {start:,}")
    return found
