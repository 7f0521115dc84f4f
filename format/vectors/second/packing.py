"""The content of a compressed block, and stored values as bytes (codecs.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .quantisers import Grid
from .refused import check

ORDERED, SPARSE, SHUFFLED = 1, 2, 4
WORD = 64  # bits of a bitmap's word


@dataclass(frozen=True)
class Block:
    """The size of a block: rows of a grid, of stored values of ``width`` bits."""

    rows: int
    grid: Grid
    width: int

    @property
    def channel_values(self) -> int:
        return self.rows * self.grid.outer * self.grid.inner

    @property
    def bitmap_bytes(self) -> int:
        return self.grid.channels * -(-self.channel_values // WORD) * 8

    @property
    def least(self) -> int:
        return 1 + min(self.bitmap_bytes, plain_bytes(self.rows * self.grid.values, self.width))

    @property
    def most(self) -> int:
        values = shuffled_bytes(self.rows * self.grid.values, self.width)
        return 1 + self.grid.channels + self.bitmap_bytes + values

    def place(self, channel: int, value: int) -> int:
        """Where a channel's value stands in C order."""
        row, inner = divmod(value, self.grid.inner)
        return (row * self.grid.channels + channel) * self.grid.inner + inner


def plain_bytes(count: int, width: int) -> int:
    return math.ceil(count * width / 8)


def shuffled_bytes(count: int, width: int) -> int:
    return width * -(-count // 8) if width <= 8 else count * width // 8


def pack(bits: list[int], block: Block, flags: int, classes: bytes) -> bytes:
    """The content of a block of stored values in C order."""
    channels = list(range(block.grid.channels))
    head = bytes([flags])
    if flags & ORDERED:
        channels.sort(key=lambda c: classes[c])
        head += classes
    values = [[bits[block.place(c, v)] for v in range(block.channel_values)] for c in channels]
    if flags & SPARSE:
        head += b"".join(_bitmap(v) for v in values)
        values = [[b for b in v if b] for v in values]
    kept = [b for v in values for b in v]
    return head + (shuffle(kept, block.width) if flags & SHUFFLED else plain(kept, block.width))


def _bitmap(values: list[int]) -> bytes:
    bits = sum(1 << i for i, value in enumerate(values) if value)
    return bits.to_bytes(-(-len(values) // WORD) * 8, "little")


def unpack(content: bytes, block: Block) -> list[int]:
    """The stored values in C order (bad-block)."""
    flags, at = content[0], 1
    check(flags < 8, "bad-block", f"flags {flags}")
    channels = list(range(block.grid.channels))
    if flags & ORDERED:
        classes = content[at : at + len(channels)]
        check(len(classes) == len(channels), "bad-block", "too short for its classes")
        channels.sort(key=lambda c: classes[c])
        at += len(channels)
    there = [True] * (block.channel_values * len(channels))
    if flags & SPARSE:
        there = _read_bitmap(content[at : at + block.bitmap_bytes], block)
        at += block.bitmap_bytes
    count = sum(there)
    size = (shuffled_bytes if flags & SHUFFLED else plain_bytes)(count, block.width)
    check(len(content) == at + size, "bad-block", f"a content of {len(content)} bytes instead of {at + size}")
    stored = iter((unshuffle if flags & SHUFFLED else unplain)(content[at:], count, block.width))
    bits = [0] * len(there)
    for i, is_there in enumerate(there):
        if is_there:
            channel, value = divmod(i, block.channel_values)
            bits[block.place(channels[channel], value)] = next(stored)
    return bits


def _read_bitmap(data: bytes, block: Block) -> list[bool]:
    """Which values are stored, of the channels as they stand."""
    check(len(data) == block.bitmap_bytes, "bad-block", "too short for its bitmap")
    there: list[bool] = []
    size = block.bitmap_bytes // block.grid.channels
    for at in range(0, len(data), size):
        bits = int.from_bytes(data[at : at + size], "little")
        check(bits >> block.channel_values == 0, "bad-block", "bits beyond a channel's values")
        there += [bool(bits >> i & 1) for i in range(block.channel_values)]
    return there


def plain(values: list[int], width: int) -> bytes:
    """Stored values one after another; codes of 4 bits two a byte, the first in the low half."""
    return sum(value << width * i for i, value in enumerate(values)).to_bytes(plain_bytes(len(values), width), "little")


def unplain(data: bytes, count: int, width: int) -> list[int]:
    whole = int.from_bytes(data, "little")
    return [whole >> width * i & (1 << width) - 1 for i in range(count)]


def shuffle(values: list[int], width: int) -> bytes:
    """Planes of bits of one weight (codes), or of bytes of one weight (wider values)."""
    if width > 8:
        return b"".join(bytes(v >> 8 * plane & 255 for v in values) for plane in range(width // 8))
    size = -(-len(values) // 8)
    planes = [sum((v >> plane & 1) << i for i, v in enumerate(values)) for plane in range(width)]
    return b"".join(plane.to_bytes(size, "little") for plane in planes)


def unshuffle(data: bytes, count: int, width: int) -> list[int]:
    if width > 8:
        planes = [data[count * plane :][:count] for plane in range(width // 8)]
        return [sum(planes[j][i] << 8 * j for j in range(len(planes))) for i in range(count)]
    size = -(-count // 8)
    bits = [int.from_bytes(data[size * plane :][:size], "little") for plane in range(width)]
    return [sum((plane >> i & 1) << j for j, plane in enumerate(bits)) for i in range(count)]
