"""A compressed block's content read as format/codecs.md says, word by word and slowly: kernels are held against it."""

from __future__ import annotations

import math

import numpy as np

from hapistore_format.codecs.layout import BlockShape


def read_block_slowly(raw: bytes, shape: BlockShape) -> np.ndarray | None:
    """Stored values by row, [rows × outer, channels, inner]; None where the content is not what the page says."""
    rows, axes, dtype, bits = shape
    flags, at = raw[0], 1
    order = list(range(axes.channels))
    if flags & 1:
        order.sort(key=lambda channel: raw[at + channel])
        at += axes.channels
    per_channel = rows * axes.outer * axes.inner
    stored = np.ones((axes.channels, per_channel), bool)
    if flags & 2:
        words = math.ceil(per_channel / 64)
        for place in range(axes.channels):
            mask = int.from_bytes(raw[at : at + 8 * words], "little")
            if mask >> per_channel:
                return None
            stored[place] = [mask >> value & 1 for value in range(per_channel)]
            at += 8 * words
    values = _values(raw[at:], int(stored.sum()), dtype.itemsize, bits, shuffled=bool(flags & 4))
    by_place = np.zeros(stored.shape, f"<u{dtype.itemsize}")
    by_place[stored] = values
    by_channel = np.empty_like(by_place)
    by_channel[order] = by_place
    return by_channel.reshape(axes.channels, rows * axes.outer, axes.inner).transpose(1, 0, 2)


def _values(data: bytes, count: int, size: int, bits: int, *, shuffled: bool) -> list[int]:
    if not shuffled and bits == 4:
        return [data[i // 2] >> 4 * (i % 2) & 15 for i in range(count)]
    if not shuffled:
        return [int.from_bytes(data[i * size : (i + 1) * size], "little") for i in range(count)]
    if size == 1:
        plane = math.ceil(count / 8)
        return [sum((data[j * plane + i // 8] >> i % 8 & 1) << j for j in range(bits)) for i in range(count)]
    return [sum(data[j * count + i] << 8 * j for j in range(size)) for i in range(count)]
