"""Numba kernels that put a block's values in their places, each beside the numpy reference it must equal.

Shapes: a block by channel is [channels, m, inner], by row [m, channels, inner], as in ``axes``. ``places`` is
int64 [channels], a permutation: channel c stands at place ``places[c]`` of the block. Rows are written channel by
channel in the rows' own order, so that what is written next is in the cache.
"""

from __future__ import annotations

import numpy as np

from .jit import jit, load_word, store_word, trailing_zeros

_TILE_ROWS = 128


@jit
def rows_from_channels(by_channel: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
    """rows[m, c, k] = by_channel[places[c], m, k]."""
    count = by_channel.shape[1]
    for first in range(0, count, _TILE_ROWS):
        last = min(first + _TILE_ROWS, count)
        for c in range(by_channel.shape[0]):
            place = places[c]
            if by_channel.shape[2] == 1:
                for m in range(first, last):
                    rows[m, c, 0] = by_channel[place, m, 0]
            else:
                for m in range(first, last):
                    for k in range(by_channel.shape[2]):
                        rows[m, c, k] = by_channel[place, m, k]


def rows_from_channels_reference(by_channel: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
    """``rows_from_channels`` in numpy."""
    rows[:] = by_channel[places].transpose(1, 0, 2)


@jit
def byte_rows_from_channels(by_channel: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
    """rows[m, c] = by_channel[places[c], m], both uint8: 8 × 8 bytes at a time, in eight words."""
    channels, count = by_channel.shape
    source, target = by_channel.reshape(-1), rows.reshape(-1)
    whole_channels, whole_rows = channels - channels % 8, count - count % 8
    for first in range(0, whole_rows, _TILE_ROWS):
        for c in range(0, whole_channels, 8):
            p0, p1, p2, p3 = places[c], places[c + 1], places[c + 2], places[c + 3]
            p4, p5, p6, p7 = places[c + 4], places[c + 5], places[c + 6], places[c + 7]
            for m in range(first, min(first + _TILE_ROWS, whole_rows), 8):
                x0, x1 = load_word(source, p0 * count + m), load_word(source, p1 * count + m)
                x2, x3 = load_word(source, p2 * count + m), load_word(source, p3 * count + m)
                x4, x5 = load_word(source, p4 * count + m), load_word(source, p5 * count + m)
                x6, x7 = load_word(source, p6 * count + m), load_word(source, p7 * count + m)
                x0, x1 = _exchange(x0, x1, np.uint64(8), np.uint64(0x00FF00FF00FF00FF))
                x2, x3 = _exchange(x2, x3, np.uint64(8), np.uint64(0x00FF00FF00FF00FF))
                x4, x5 = _exchange(x4, x5, np.uint64(8), np.uint64(0x00FF00FF00FF00FF))
                x6, x7 = _exchange(x6, x7, np.uint64(8), np.uint64(0x00FF00FF00FF00FF))
                x0, x2 = _exchange(x0, x2, np.uint64(16), np.uint64(0x0000FFFF0000FFFF))
                x1, x3 = _exchange(x1, x3, np.uint64(16), np.uint64(0x0000FFFF0000FFFF))
                x4, x6 = _exchange(x4, x6, np.uint64(16), np.uint64(0x0000FFFF0000FFFF))
                x5, x7 = _exchange(x5, x7, np.uint64(16), np.uint64(0x0000FFFF0000FFFF))
                x0, x4 = _exchange(x0, x4, np.uint64(32), np.uint64(0x00000000FFFFFFFF))
                x1, x5 = _exchange(x1, x5, np.uint64(32), np.uint64(0x00000000FFFFFFFF))
                x2, x6 = _exchange(x2, x6, np.uint64(32), np.uint64(0x00000000FFFFFFFF))
                x3, x7 = _exchange(x3, x7, np.uint64(32), np.uint64(0x00000000FFFFFFFF))
                at = m * channels + c
                store_word(target, at, x0)
                store_word(target, at + channels, x1)
                store_word(target, at + 2 * channels, x2)
                store_word(target, at + 3 * channels, x3)
                store_word(target, at + 4 * channels, x4)
                store_word(target, at + 5 * channels, x5)
                store_word(target, at + 6 * channels, x6)
                store_word(target, at + 7 * channels, x7)
    for m in range(count):
        for c in range(whole_channels if m < whole_rows else 0, channels):
            rows[m, c] = by_channel[places[c], m]


@jit
def _exchange(x: np.uint64, y: np.uint64, shift: np.uint64, mask: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Exchange the high parts of x with the low parts of y: a step of the transposition of a square of bytes."""
    t = ((x >> shift) ^ y) & mask
    return x ^ (t << shift), y ^ t


def byte_rows_from_channels_reference(by_channel: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
    """``byte_rows_from_channels`` in numpy."""
    rows[:] = by_channel[places].T


@jit
def scatter_nonzeros(bitmap: np.ndarray, values: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
    """Zero ``rows`` and put ``values`` where ``bitmap`` has ones.

    Args:
        bitmap: uint64 [channels, words], by place; bit b of word w stands for position 64 w + b of the channel's
            [m, inner]. Bits beyond must be zero, and there must be as many ones as ``values``.
        values: [ones], in the order of their bits.
    """
    inner = rows.shape[2]
    rows[:] = 0
    next_value = np.zeros(bitmap.shape[0] + 1, np.int64)
    for p in range(bitmap.shape[0]):
        ones = np.int64(0)
        for w in range(bitmap.shape[1]):
            ones += _count_ones(bitmap[p, w])
        next_value[p + 1] = next_value[p] + ones
    # A word of every channel in turn: its 64 positions are in few rows, which stay in the cache meanwhile.
    for w in range(bitmap.shape[1]):
        first = 64 * w
        for c in range(rows.shape[1]):
            word = bitmap[places[c], w]
            i = next_value[places[c]]
            m = first // inner
            start = m * inner
            while word:
                at = first + trailing_zeros(word)
                if inner == 1:
                    rows[at, c, 0] = values[i]
                else:
                    while at >= start + inner:
                        m += 1
                        start += inner
                    rows[m, c, at - start] = values[i]
                word &= word - np.uint64(1)
                i += 1
            next_value[places[c]] = i


@jit
def _count_ones(word: np.uint64) -> np.int64:
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


def scatter_nonzeros_reference(bitmap: np.ndarray, values: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
    """``scatter_nonzeros`` in numpy."""
    count, channels, inner = rows.shape
    bits = np.unpackbits(bitmap.view(np.uint8), axis=1, bitorder="little")[:, : count * inner]
    by_channel = np.zeros(bits.shape, values.dtype)
    by_channel[bits.astype(bool)] = values
    rows_from_channels_reference(by_channel.reshape(channels, count, inner), places, rows)


@jit
def join_bits(planes: np.ndarray, codes: np.ndarray) -> None:
    """Codes from bit planes: bit j of code i is bit i % 8 of byte i // 8 of plane j.

    Args:
        planes: uint8 [8, groups].
        codes: uint64 [groups], filled: eight codes each, the first in the lowest byte.
    """
    p0, p1, p2, p3, p4, p5, p6, p7 = (
        planes[0],
        planes[1],
        planes[2],
        planes[3],
        planes[4],
        planes[5],
        planes[6],
        planes[7],
    )
    for g in range(codes.shape[0]):
        # Eight bytes, one of each plane, are an 8 × 8 matrix of bits; its transpose are eight codes
        # (Warren, Hacker's Delight, 2nd edition, section 7-3).
        x = np.uint64(p0[g]) | (np.uint64(p1[g]) << np.uint64(8))
        x |= (np.uint64(p2[g]) << np.uint64(16)) | (np.uint64(p3[g]) << np.uint64(24))
        x |= (np.uint64(p4[g]) << np.uint64(32)) | (np.uint64(p5[g]) << np.uint64(40))
        x |= (np.uint64(p6[g]) << np.uint64(48)) | (np.uint64(p7[g]) << np.uint64(56))
        t = (x ^ (x >> np.uint64(7))) & np.uint64(0x00AA00AA00AA00AA)
        x ^= t ^ (t << np.uint64(7))
        t = (x ^ (x >> np.uint64(14))) & np.uint64(0x0000CCCC0000CCCC)
        x ^= t ^ (t << np.uint64(14))
        t = (x ^ (x >> np.uint64(28))) & np.uint64(0x00000000F0F0F0F0)
        codes[g] = x ^ t ^ (t << np.uint64(28))


def join_bits_reference(planes: np.ndarray, codes: np.ndarray) -> None:
    """``join_bits`` in numpy."""
    bits = np.unpackbits(planes, axis=1, bitorder="little")
    codes.view(np.uint8)[:] = (bits << np.arange(8, dtype=np.uint8)[:, None]).sum(axis=0, dtype=np.uint8)


@jit
def join_bytes(planes: np.ndarray, values: np.ndarray) -> None:
    """Values from byte planes: byte j (of rising weight) of value i is planes[j, i].

    Args:
        planes: uint8 [bytes of a value, n].
        values: uint16 or uint32 [n], filled.
    """
    if planes.shape[0] == 2:
        for i in range(values.shape[0]):
            values[i] = planes[0, i] | (np.uint16(planes[1, i]) << np.uint16(8))
    else:
        for i in range(values.shape[0]):
            low = np.uint32(planes[0, i]) | (np.uint32(planes[1, i]) << np.uint32(8))
            high = np.uint32(planes[2, i]) | (np.uint32(planes[3, i]) << np.uint32(8))
            values[i] = low | (high << np.uint32(16))


def join_bytes_reference(planes: np.ndarray, values: np.ndarray) -> None:
    """``join_bytes`` in numpy."""
    values[:] = np.ascontiguousarray(planes.T).view(f"<u{len(planes)}")[:, 0]


@jit
def pack_nibbles(codes: np.ndarray) -> np.ndarray:
    """Codes below 16, uint8 [n], two a byte, the first in the low half: uint8 [ceil(n / 2)]."""
    packed = np.zeros((len(codes) + 1) // 2, np.uint8)
    for i in range(len(codes)):
        packed[i // 2] |= codes[i] << np.uint8(4 * (i % 2))
    return packed


def pack_nibbles_reference(codes: np.ndarray) -> np.ndarray:
    """``pack_nibbles`` in numpy."""
    even = np.append(codes, np.uint8(0)) if len(codes) % 2 else codes
    return even[::2] | (even[1::2] << np.uint8(4))


@jit
def unpack_nibbles(packed: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` codes of ``pack_nibbles``' bytes: uint8 [count]. ``packed`` must hold them."""
    codes = np.empty(count, np.uint8)
    for i in range(count // 2):
        codes[2 * i] = packed[i] & np.uint8(15)
        codes[2 * i + 1] = packed[i] >> np.uint8(4)
    if count % 2:
        codes[count - 1] = packed[count // 2] & np.uint8(15)
    return codes


def unpack_nibbles_reference(packed: np.ndarray, count: int) -> np.ndarray:
    """``unpack_nibbles`` in numpy."""
    return np.stack([packed & np.uint8(15), packed >> np.uint8(4)], axis=1).reshape(-1)[:count]
