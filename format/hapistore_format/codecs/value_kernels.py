"""Numba kernels of the quantisers, each beside the numpy reference it must equal.

Shapes: ``x`` float32 and ``q`` uint8 are [m, channels, inner]; ``scale`` and ``zero`` float32 [channels].
"""

from __future__ import annotations

import numpy as np

from .jit import float_of_bits, jit


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


@jit
def gather_halves(h: np.ndarray, rows: np.ndarray, x: np.ndarray) -> None:
    """Rows ``rows`` of float16 values, given as uint16 [n, values], as float32 ``x`` [k, values].

    A half's exponent and mantissa, moved to where a single has them, are its value over 2**112: exact,
    denormals included, and without a branch, so that it vectorises. Infinities and NaN get a single's exponent.
    """
    for i in range(rows.shape[0]):
        row = rows[i]
        for v in range(h.shape[1]):
            half = np.uint32(h[row, v])
            magnitude = half & np.uint32(0x7FFF)
            bits = ((half & np.uint32(0x8000)) << np.uint32(16)) | (magnitude << np.uint32(13))
            finite = float_of_bits(bits) * _HALF_TO_SINGLE
            special = float_of_bits(bits | np.uint32(0x7F800000))
            x[i, v] = special if magnitude >= np.uint32(0x7C00) else finite


def gather_halves_reference(h: np.ndarray, rows: np.ndarray, x: np.ndarray) -> None:
    """``gather_halves`` in numpy."""
    x[:] = h[rows].view(np.float16)


@jit
def gather_bfloats(h: np.ndarray, rows: np.ndarray, x: np.ndarray) -> None:
    """Rows ``rows`` of bfloat16 values, given as uint16 [n, values], as float32 ``x`` [k, values]."""
    for i in range(rows.shape[0]):
        row = rows[i]
        for v in range(h.shape[1]):
            x[i, v] = float_of_bits(np.uint32(h[row, v]) << np.uint32(16))


def gather_bfloats_reference(h: np.ndarray, rows: np.ndarray, x: np.ndarray) -> None:
    """``gather_bfloats`` in numpy."""
    x[:] = (h[rows].astype(np.uint32) << 16).view(np.float32)


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
