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
def quantise(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, q: np.ndarray) -> None:
    """q = round((x - zero) / scale), halves to even, 0 where scale is 0."""
    for m in range(x.shape[0]):
        for c in range(x.shape[1]):
            s = np.float64(scale[c])
            z = np.float64(zero[c])
            for k in range(x.shape[2]):
                level = 0.0 if s == 0.0 else np.rint((np.float64(x[m, c, k]) - z) / s)
                q[m, c, k] = np.uint8(min(255.0, max(0.0, level)))


def quantise_reference(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, q: np.ndarray) -> None:
    """``quantise`` in numpy."""
    s = scale.astype(np.float64)[None, :, None]
    level = np.rint((x.astype(np.float64) - zero[None, :, None]) / np.where(s == 0, 1, s))
    q[:] = np.where(s == 0, 0, np.clip(level, 0, 255)).astype(np.uint8)


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
