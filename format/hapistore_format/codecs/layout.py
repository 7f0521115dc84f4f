"""Layout of a block that goes to a compressor: channel by channel, and prepared by up to three steps.

A compressor learns from what it has just seen. Values of one channel resemble each other, and so do channels of
a similar mean; zeros say where and not what; bits of one weight resemble each other more than those of one value.
A block says in its first byte which steps were taken::

    flags     1 byte: Layout
    classes   ORDERED: a byte for each channel. Channels stand in the order of these bytes, equal ones in their own:
              any bytes say an order, so none can be wrong.
    bitmap    SPARSE: for each channel, its values' bits (1: not zero) in 64-bit words; zeros are left out below
    values    one after another; SHUFFLED: codes by planes of their bits, wider values by planes of their bytes

Which of them pay is the writer's to find out: ``smallest_layout`` tries.

Shapes: rows are [m, channels, inner] as in ``axes``, a channel's values are [m × inner].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntFlag
from typing import NamedTuple

import numpy as np

from ..errors import FormatError
from . import layout_kernels as kernels
from .axes import ChannelAxes

# Classes of channels by rank of their mean. More of them cost more bytes than they save.
_CLASSES = 64
# With fewer zeros than this a bitmap is not worth a try; and layouts are tried on so many values.
_SPARSE_FROM = 1 / 16
_TRIAL_VALUES = 1 << 20


class Layout(IntFlag):
    """The steps; see above."""

    PLAIN = 0
    ORDERED = 1
    SPARSE = 2
    SHUFFLED = 4


_ALL = Layout.ORDERED | Layout.SPARSE | Layout.SHUFFLED


class BlockShape(NamedTuple):
    """A block's rows and how their values are stored: ``bits`` of each, 4 for two codes a byte."""

    rows: int
    axes: ChannelAxes
    dtype: np.dtype
    bits: int

    @property
    def channel_values(self) -> int:
        return self.rows * self.axes.outer * self.axes.inner

    @property
    def bitmap_words(self) -> int:
        """Of one channel."""
        return -(-self.channel_values // 64)

    def value_bytes(self, count: int, layout: Layout) -> int:
        """Size of ``count`` values."""
        if layout & Layout.SHUFFLED and self.dtype.itemsize == 1:
            return self.bits * -(-count // 8)
        return -(-count * self.bits // 8)

    @property
    def least_bytes(self) -> int:
        """No block is smaller."""
        bitmap = 8 * self.axes.channels * self.bitmap_words
        return 1 + min(bitmap, self.value_bytes(self.rows * self.axes.row_values, Layout.PLAIN))

    @property
    def most_bytes(self) -> int:
        """No block is larger."""
        values = self.value_bytes(self.rows * self.axes.row_values, Layout.SHUFFLED)
        return 1 + self.axes.channels * (1 + 8 * self.bitmap_words) + values


def write_block(stored: np.ndarray, shape: BlockShape, layout: Layout) -> np.ndarray:
    """Stored values [rows, *feature shape] as a block's bytes, uint8."""
    by_channel = shape.axes.view(stored).transpose(1, 0, 2)
    parts = [np.array([layout], np.uint8)]
    if layout & Layout.ORDERED:
        with np.errstate(invalid="ignore"):  # infinities of both signs in a lossless codec: any order will do
            classes = _classes(by_channel.mean(axis=(1, 2), dtype=np.float64))
        by_channel = by_channel[_order(classes)]
        parts.append(classes)
    values = np.ascontiguousarray(by_channel).view(f"<u{stored.dtype.itemsize}").reshape(len(by_channel), -1)
    if layout & Layout.SPARSE:
        bits = np.zeros((len(values), 64 * shape.bitmap_words), np.uint8)
        bits[:, : values.shape[1]] = values != 0
        parts.append(np.packbits(bits, axis=1, bitorder="little").reshape(-1))
        values = values[values != 0]
    parts.append(_write_values(values.reshape(-1), shape.bits, layout))
    return np.concatenate(parts)


def _write_values(values: np.ndarray, bits: int, layout: Layout) -> np.ndarray:
    if layout & Layout.SHUFFLED and values.dtype.itemsize == 1:
        planes = (values >> np.arange(bits, dtype=np.uint8)[:, None]) & np.uint8(1)
        return np.packbits(planes, axis=1, bitorder="little").reshape(-1)
    if layout & Layout.SHUFFLED:
        return np.ascontiguousarray(values.view(np.uint8).reshape(-1, values.dtype.itemsize).T).reshape(-1)
    return kernels.pack_nibbles(values) if bits == 4 else values.view(np.uint8)


def read_block(raw: bytes, shape: BlockShape, out: np.ndarray, *, where: str) -> None:
    """The inverse of ``write_block``.

    Args:
        out: [rows, *feature shape], C-contiguous; filled.

    Raises:
        FormatError: ``bad-block``.
    """
    data = _Cursor(np.frombuffer(raw, np.uint8), where)
    flags = int(data.take(1)[0])
    if flags > _ALL:
        raise FormatError("bad-block", f"a block has the unknown layout {flags}", where=where)
    layout = Layout(flags)
    axes = shape.axes
    places = np.arange(axes.channels)
    if layout & Layout.ORDERED:
        places[_order(data.take(axes.channels))] = np.arange(axes.channels)
    count, bitmap = shape.rows * axes.row_values, None
    if layout & Layout.SPARSE:
        bitmap = data.take(8 * axes.channels * shape.bitmap_words).view("<u8").reshape(axes.channels, -1)
        used = shape.channel_values % 64
        if used and (bitmap[:, -1] >> np.uint64(used)).any():  # these would be written outside of the rows
            raise FormatError("bad-block", "a block's bitmap has bits beyond its rows", where=where)
        count = int(np.bitwise_count(bitmap).sum(dtype=np.int64))
    values = data.take(shape.value_bytes(count, layout))
    data.finish()
    rows = axes.view(out).view(f"<u{shape.dtype.itemsize}")
    if layout & Layout.SHUFFLED and bitmap is None and shape.dtype.itemsize > 1 and axes.inner == 1:
        _place_planes(values, places, rows)
    else:
        _place_values(_join(values, count, shape, layout), bitmap, places, rows)


def _place_planes(data: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
    """Byte planes by channel: bytes are faster to transpose than what they make up."""
    count, channels, _ = rows.shape
    planes = np.empty((rows.itemsize, count, channels), np.uint8)
    for plane, by_channel in zip(planes, data.reshape(rows.itemsize, channels, count), strict=True):
        kernels.byte_rows_from_channels(by_channel, places, plane)
    kernels.join_bytes(planes.reshape(rows.itemsize, -1), rows.reshape(-1))


def _place_values(values: np.ndarray, bitmap: np.ndarray | None, places: np.ndarray, rows: np.ndarray) -> None:
    count, channels, inner = rows.shape
    if bitmap is not None:
        kernels.scatter_nonzeros(bitmap, values, places, rows)
    elif inner == 1 and values.dtype == np.uint8:
        kernels.byte_rows_from_channels(values.reshape(channels, count), places, rows[:, :, 0])
    else:
        kernels.rows_from_channels(values.reshape(channels, count, inner), places, rows)


def _join(data: np.ndarray, count: int, shape: BlockShape, layout: Layout) -> np.ndarray:
    if not layout & Layout.SHUFFLED:
        return kernels.unpack_nibbles(data, count) if shape.bits == 4 else data.view(f"<u{shape.dtype.itemsize}")
    if shape.dtype.itemsize == 1:
        planes = data.reshape(shape.bits, -1)
        if shape.bits < 8:
            planes = np.concatenate([planes, np.zeros((8 - shape.bits, planes.shape[1]), np.uint8)])
        codes = np.empty(planes.shape[1], "<u8")
        kernels.join_bits(planes, codes)
        return codes.view(np.uint8)[:count]
    values = np.empty(count, f"<u{shape.dtype.itemsize}")
    kernels.join_bytes(data.reshape(shape.dtype.itemsize, -1), values)
    return values


class _Cursor:
    """Takes a block's bytes apart from its beginning."""

    def __init__(self, data: np.ndarray, where: str) -> None:
        self._data, self._at, self._where = data, 0, where

    def take(self, count: int) -> np.ndarray:
        if count > len(self._data) - self._at:
            raise FormatError(
                "bad-block", f"a block has {len(self._data)} bytes and would need more", where=self._where
            )
        self._at += count
        return self._data[self._at - count : self._at]

    def finish(self) -> None:
        if self._at != len(self._data):
            raise FormatError(
                "bad-block", f"a block has {len(self._data)} bytes, expected {self._at}", where=self._where
            )


def smallest_layout(stored: np.ndarray, shape: BlockShape, compress: Callable[[np.ndarray], bytes]) -> Layout:
    """The layout whose block compresses best, found by trying them on as many rows as it takes to know."""
    rows = max(1, min(len(stored), _TRIAL_VALUES // shape.axes.row_values))
    sample, sample_shape = stored[:rows], shape._replace(rows=rows)
    sizes = {
        layout: len(compress(write_block(sample, sample_shape, layout))) for layout in _candidates(sample, shape.bits)
    }
    return min(sizes, key=lambda layout: (sizes[layout], layout))


def _candidates(stored: np.ndarray, bits: int) -> Iterator[Layout]:
    zeros = 1 - np.count_nonzero(stored) / stored.size
    sparse = Layout.SPARSE if zeros >= _SPARSE_FROM else Layout.PLAIN
    for shuffled in (Layout.PLAIN, Layout.SHUFFLED):
        if bits <= 8 or shuffled:  # bytes of wider values are always better apart
            yield sparse | shuffled
            yield sparse | shuffled | Layout.ORDERED


def _classes(means: np.ndarray) -> np.ndarray:
    """Class of each channel, uint8 [channels]: equally many channels in each, by rank of their mean."""
    ranks = np.empty(len(means), np.int64)
    ranks[np.argsort(means, kind="stable")] = np.arange(len(means))
    return (ranks * _CLASSES // len(means)).astype(np.uint8)


def _order(classes: np.ndarray) -> np.ndarray:
    """Channels in the order they stand in: int64 [channels]."""
    return np.argsort(classes, kind="stable")
