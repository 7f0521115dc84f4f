"""Layout of a compressed block: channel by channel, codes of 8 bits or fewer with alike channels side by side.

A compressor learns from what it has just seen. Values of one channel resemble each other, and so do
channels of a similar mean code. A block therefore begins with a byte for each channel, and its channels
stand in the order of those bytes, equal ones in their own: any bytes say an order, so none can be wrong.

Shapes: rows are [m, channels, inner] as in ``axes``.
"""

from __future__ import annotations

import numpy as np

from . import kernels
from .axes import ChannelAxes

# With fewer codes a channel, the order would cost more than it saves.
_ORDER_FROM_CODES = 64
# Classes of channels by rank of their mean code. More of them cost more bytes than they save.
_CLASSES = 64


def is_ordered(axes: ChannelAxes, rows: int, dtype: np.dtype) -> bool:
    """Whether a block of so many rows begins with the order of its channels: uint8 [channels]."""
    return dtype.itemsize == 1 and rows * axes.outer * axes.inner >= _ORDER_FROM_CODES


def block_bytes(axes: ChannelAxes, rows: int, dtype: np.dtype, bits: int) -> int:
    """Size of an uncompressed block; ``bits`` of a value, 4 for two codes a byte."""
    order = axes.channels if is_ordered(axes, rows, dtype) else 0
    values = rows * axes.row_values
    return order + (-(-values // 2) if bits == 4 else values * dtype.itemsize)


def to_block(stored: np.ndarray, axes: ChannelAxes, bits: int) -> np.ndarray:
    """Stored values [n, *shape] as the bytes that a compressor gets: uint8 [block_bytes]."""
    by_channel = axes.view(stored).transpose(1, 0, 2)
    parts = []
    if is_ordered(axes, len(stored), stored.dtype):
        classes = _classes(by_channel.mean(axis=(1, 2)))
        by_channel = by_channel[_order(classes)]
        parts.append(classes)
    flat = np.ascontiguousarray(by_channel).reshape(-1)
    parts.append(kernels.pack_nibbles(flat) if bits == 4 else flat.view(np.uint8))
    return np.concatenate(parts)


def from_block(raw: bytes, rows: int, shape: tuple[int, ...], dtype: np.dtype, bits: int) -> np.ndarray:
    """The inverse of ``to_block``: stored values [rows, *shape].

    Args:
        raw: exactly ``block_bytes`` bytes.
    """
    axes = ChannelAxes.of(shape)
    data = np.frombuffer(raw, np.uint8)
    ordered = is_ordered(axes, rows, dtype)
    classes, data = (data[: axes.channels], data[axes.channels :]) if ordered else (None, data)
    flat = kernels.unpack_nibbles(data, rows * axes.row_values) if bits == 4 else data.view(dtype)
    by_channel = flat.reshape(axes.channels, rows * axes.outer, axes.inner)
    if classes is None:
        return np.ascontiguousarray(by_channel.transpose(1, 0, 2)).reshape(rows, *shape)
    out = np.empty((rows * axes.outer, axes.channels, axes.inner), dtype)
    kernels.rows_from_channels(by_channel, _order(classes), out)
    return out.reshape(rows, *shape)


def _classes(means: np.ndarray) -> np.ndarray:
    """Class of each channel, uint8 [channels]: equally many channels in each, by rank of their mean."""
    ranks = np.empty(len(means), np.int64)
    ranks[np.argsort(means, kind="stable")] = np.arange(len(means))
    return (ranks * _CLASSES // len(means)).astype(np.uint8)


def _order(classes: np.ndarray) -> np.ndarray:
    """Channels in the order they stand in: int64 [channels]."""
    return np.argsort(classes, kind="stable")
