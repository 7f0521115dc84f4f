"""Numba kernels of the quantisers, each beside the numpy reference it must equal.

Shapes: ``x`` float32 and ``q`` uint8 are [m, channels, inner]; ``scale`` and ``zero`` float32 [channels].
"""

from __future__ import annotations

import numpy as np

from .jit import jit


@jit
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


@jit
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


@jit
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


@jit
def round_to_bfloat16(x: np.ndarray, h: np.ndarray) -> None:
    """float32 [n], given as uint32, to the nearest bfloat16, halves to even: uint16 ``h`` [n]. NaN is not kept."""
    for i in range(x.shape[0]):
        bits = np.uint64(x[i])  # which may grow by a bit
        h[i] = np.uint16((bits + np.uint64(0x7FFF) + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16))


def round_to_bfloat16_reference(x: np.ndarray, h: np.ndarray) -> None:
    """``round_to_bfloat16`` in numpy."""
    bits = x.astype(np.uint64)
    h[:] = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
