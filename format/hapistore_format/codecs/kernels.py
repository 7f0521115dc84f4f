"""Numba kernels of the quantisers, each beside the numpy reference it must equal.

All are serial and release the GIL: callers bring their own threads, and nothing here starts a
threading layer that a later fork would break.

Shapes: ``x`` float32 and ``q`` uint8 are [m, channels, inner]; ``scale`` and ``zero`` float32 [channels].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

_F = TypeVar("_F", bound=Callable[..., Any])


def _jit(function: _F) -> _F:
    compiled = numba.njit(nogil=True, cache=True, boundscheck=False)(function)
    return cast(_F, compiled)


@_jit
def channel_range(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> int:
    """Fill ``low`` and ``high`` with each channel's extremes; returns the first m with a NaN or Inf, or -1."""
    low[:] = np.inf
    high[:] = -np.inf
    for m in range(x.shape[0]):
        for c in range(x.shape[1]):
            for k in range(x.shape[2]):
                value = x[m, c, k]
                if not np.isfinite(value):
                    return m
                low[c] = min(low[c], value)
                high[c] = max(high[c], value)
    return -1


def channel_range_reference(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> int:
    """``channel_range`` in numpy."""
    bad = np.flatnonzero(~np.isfinite(x).all(axis=(1, 2)))
    if len(bad):
        return int(bad[0])
    low[:] = x.min(axis=(0, 2), initial=np.inf)
    high[:] = x.max(axis=(0, 2), initial=-np.inf)
    return -1


@_jit
def quantise(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, levels: int, q: np.ndarray) -> None:
    """q = round((x - zero) / scale), halves to even, within 0 to ``levels``; 0 where scale is 0."""
    top = np.float64(levels)
    for m in range(x.shape[0]):
        for c in range(x.shape[1]):
            s = np.float64(scale[c])
            z = np.float64(zero[c])
            for k in range(x.shape[2]):
                level = 0.0 if s == 0.0 else np.rint((np.float64(x[m, c, k]) - z) / s)
                q[m, c, k] = np.uint8(min(top, max(0.0, level)))


def quantise_reference(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, levels: int, q: np.ndarray) -> None:
    """``quantise`` in numpy."""
    s = scale.astype(np.float64)[None, :, None]
    level = np.rint((x.astype(np.float64) - zero[None, :, None]) / np.where(s == 0, 1, s))
    q[:] = np.where(s == 0, 0, np.clip(level, 0, levels)).astype(np.uint8)


@_jit
def dequantise(q: np.ndarray, scale: np.ndarray, zero: np.ndarray, x: np.ndarray) -> None:
    """x = zero + scale × q in float32."""
    for m in range(q.shape[0]):
        if q.shape[2] == 1:  # the channel loop is the long one: let it vectorise
            for c in range(q.shape[1]):
                x[m, c, 0] = zero[c] + scale[c] * np.float32(q[m, c, 0])
        else:
            for c in range(q.shape[1]):
                for k in range(q.shape[2]):
                    x[m, c, k] = zero[c] + scale[c] * np.float32(q[m, c, k])


def dequantise_reference(q: np.ndarray, scale: np.ndarray, zero: np.ndarray, x: np.ndarray) -> None:
    """``dequantise`` in numpy."""
    x[:] = zero[None, :, None] + scale[None, :, None] * q.astype(np.float32)


@_jit
def gather_dequantise(
    q: np.ndarray, rows: np.ndarray, outer: int, scale: np.ndarray, zero: np.ndarray, x: np.ndarray
) -> None:
    """Rows ``rows`` of ``q`` (``outer`` consecutive m each), dequantised into ``x`` in that order."""
    for i in range(rows.shape[0]):
        for o in range(outer):
            m = rows[i] * outer + o
            n = i * outer + o
            if q.shape[2] == 1:
                for c in range(q.shape[1]):
                    x[n, c, 0] = zero[c] + scale[c] * np.float32(q[m, c, 0])
            else:
                for c in range(q.shape[1]):
                    for k in range(q.shape[2]):
                        x[n, c, k] = zero[c] + scale[c] * np.float32(q[m, c, k])


def gather_dequantise_reference(
    q: np.ndarray, rows: np.ndarray, outer: int, scale: np.ndarray, zero: np.ndarray, x: np.ndarray
) -> None:
    """``gather_dequantise`` in numpy."""
    picked = (rows[:, None] * outer + np.arange(outer)).reshape(-1)
    dequantise_reference(q[picked], scale, zero, x)


_HALF_TO_SINGLE = np.float32(2.0**112)  # the difference of the two formats' exponent biases


@_jit
def gather_halves(h: np.ndarray, rows: np.ndarray, bits: np.ndarray, x: np.ndarray) -> None:
    """Rows ``rows`` of finite float16 values, given as uint16 [n, values], as float32 ``x`` [k, values].

    ``bits`` is ``x`` seen as uint32. A half's exponent and mantissa, moved to where a single has them, are its
    value over 2**112: exact, denormals included, and without a branch, so that it vectorises.
    """
    for i in range(rows.shape[0]):
        for v in range(h.shape[1]):
            half = np.uint32(h[rows[i], v])
            bits[i, v] = ((half & np.uint32(0x8000)) << np.uint32(16)) | ((half & np.uint32(0x7FFF)) << np.uint32(13))
        for v in range(h.shape[1]):
            x[i, v] *= _HALF_TO_SINGLE


def gather_halves_reference(h: np.ndarray, rows: np.ndarray, bits: np.ndarray, x: np.ndarray) -> None:
    """``gather_halves`` in numpy."""
    x[:] = h[rows].view(np.float16)


# Rows of one tile are written while they are in the first-level cache.
_TILE_ROWS = 32


@_jit
def rows_from_channels(by_channel: np.ndarray, order: np.ndarray, q: np.ndarray) -> None:
    """q[m, order[c], k] = by_channel[c, m, k]. ``order`` must be a permutation of the channels."""
    rows = by_channel.shape[1]
    for first in range(0, rows, _TILE_ROWS):
        last = min(first + _TILE_ROWS, rows)
        for c in range(by_channel.shape[0]):
            to = order[c]
            if by_channel.shape[2] == 1:
                for m in range(first, last):
                    q[m, to, 0] = by_channel[c, m, 0]
            else:
                for m in range(first, last):
                    for k in range(by_channel.shape[2]):
                        q[m, to, k] = by_channel[c, m, k]


def rows_from_channels_reference(by_channel: np.ndarray, order: np.ndarray, q: np.ndarray) -> None:
    """``rows_from_channels`` in numpy."""
    q[:, order] = by_channel.transpose(1, 0, 2)


@_jit
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


@_jit
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
