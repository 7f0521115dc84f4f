"""Numba kernels that gather rows of many shards in one call, each beside the numpy reference it must equal.

A training batch that is shuffled over all rows has a row of each of hundreds of shards: a call for each of them would
take longer than the rows do. So the kernels get the addresses of the shards' values and parameters, int64 [sources];
rows of a source whose address is 0 are left out. Row ``row[i]`` of source ``source[i]`` goes to ``x[place[i]]``,
float32 [rows, values of a row], contiguous; in order of sources it is fastest: its parameters are in the cache then.
Whoever calls keeps what the addresses are of, and has checked sources, rows and places: int64 [k].

Rows of ``x`` are taken by address too: a slice would count references, and an atomic decrement waits until all that was
written has left the core, 150 ns a row.
"""

from __future__ import annotations

import numpy as np

from .jit import LANES, carray, float32_at, float_of_bits, jit, prefetch, store_dequantised, uint8_at, uint16_at

_HALF_TO_SINGLE = np.float32(2.0**112)  # the difference of the two formats' exponent biases


@jit
def gather_codes(
    codes: np.ndarray,
    scales: np.ndarray,
    zeros: np.ndarray,
    source: np.ndarray,
    row: np.ndarray,
    place: np.ndarray,
    outer: int,
    channels: int,
    inner: int,
    x: np.ndarray,
) -> None:
    """zero + scale × code, of rows that are ``outer × channels × inner`` values."""
    values = outer * channels * inner
    lanes = inner == 1 and channels % LANES == 0 and x.ctypes.data % (4 * LANES) == 0
    for i in range(len(source)):
        at = source[i]
        if codes[at] == 0:
            continue
        if lanes:
            target = x.ctypes.data + 4 * place[i] * values
            after = min(i + 1, len(source) - 1)
            following = codes[source[after]] + row[after] * values
            _dequantise_lanes(codes[at] + row[i] * values, following, scales[at], zeros[at], outer, channels, target)
            continue
        q = carray(uint8_at(codes[at] + row[i] * values), (outer, channels, inner))
        scale = carray(float32_at(scales[at]), (channels,))
        zero = carray(float32_at(zeros[at]), (channels,))
        y = carray(float32_at(x.ctypes.data + 4 * place[i] * values), (outer, channels, inner))
        if inner == 1:  # the channel loop is the long one: let it vectorise
            for o in range(outer):
                for c in range(channels):
                    y[o, c, 0] = zero[c] + scale[c] * np.float32(q[o, c, 0])
        else:
            for o in range(outer):
                for c in range(channels):
                    for k in range(inner):
                        y[o, c, k] = zero[c] + scale[c] * np.float32(q[o, c, k])


@jit
def _dequantise_lanes(codes: int, following: int, scale: int, zero: int, outer: int, channels: int, x: int) -> None:
    """A row whose channels are a multiple of ``LANES``, by addresses; meanwhile the row after it is fetched."""
    for o in range(outer):
        for c in range(0, channels, LANES):
            v = o * channels + c
            prefetch(following + v)
            store_dequantised(codes + v, scale + 4 * c, zero + 4 * c, x + 4 * v)


def gather_codes_reference(
    codes: list[np.ndarray],
    scales: list[np.ndarray],
    zeros: list[np.ndarray],
    source: np.ndarray,
    row: np.ndarray,
    place: np.ndarray,
    outer: int,
    channels: int,
    inner: int,
    x: np.ndarray,
) -> None:
    """``gather_codes`` in numpy, of arrays instead of their addresses."""
    for p, at, r in zip(place, source, row, strict=True):
        q = codes[at][r].reshape(outer, channels, inner).astype(np.float32)
        x[p] = (zeros[at][:, None] + scales[at][:, None] * q).reshape(-1)


@jit
def gather_stored(values: np.ndarray, source: np.ndarray, row: np.ndarray, place: np.ndarray, x: np.ndarray) -> None:
    """Rows as they are stored, ``x`` uint8 [rows, bytes of a row]."""
    count = x.shape[1]
    for i in range(len(source)):
        if values[source[i]]:
            target, origin = x.ctypes.data + place[i] * count, values[source[i]] + row[i] * count
            y = carray(uint8_at(target), (count,))
            y[:] = carray(uint8_at(origin), (count,))


def gather_stored_reference(
    values: list[np.ndarray], source: np.ndarray, row: np.ndarray, place: np.ndarray, x: np.ndarray
) -> None:
    """``gather_stored`` in numpy."""
    for p, at, r in zip(place, source, row, strict=True):
        x[p] = values[at][r]


@jit
def gather_singles(values: np.ndarray, source: np.ndarray, row: np.ndarray, place: np.ndarray, x: np.ndarray) -> None:
    """float32 values as they are."""
    count = x.shape[1]
    for i in range(len(source)):
        if values[source[i]]:
            y = carray(float32_at(x.ctypes.data + 4 * place[i] * count), (count,))
            y[:] = carray(float32_at(values[source[i]] + 4 * row[i] * count), (count,))


@jit
def gather_halves(values: np.ndarray, source: np.ndarray, row: np.ndarray, place: np.ndarray, x: np.ndarray) -> None:
    """float16 values.

    A half's exponent and mantissa, moved to where a single has them, are its value over 2**112: exact,
    denormals included, and without a branch, so that it vectorises. Infinities and NaN get a single's exponent.
    """
    count = x.shape[1]
    for i in range(len(source)):
        if values[source[i]] == 0:
            continue
        h = carray(uint16_at(values[source[i]] + 2 * row[i] * count), (count,))
        y = carray(float32_at(x.ctypes.data + 4 * place[i] * count), (count,))
        for v in range(count):
            half = np.uint32(h[v])
            magnitude = half & np.uint32(0x7FFF)
            bits = ((half & np.uint32(0x8000)) << np.uint32(16)) | (magnitude << np.uint32(13))
            finite = float_of_bits(bits) * _HALF_TO_SINGLE
            special = float_of_bits(bits | np.uint32(0x7F800000))
            y[v] = special if magnitude >= np.uint32(0x7C00) else finite


@jit
def gather_bfloats(values: np.ndarray, source: np.ndarray, row: np.ndarray, place: np.ndarray, x: np.ndarray) -> None:
    """bfloat16 values, as the high halves of float32."""
    count = x.shape[1]
    for i in range(len(source)):
        if values[source[i]] == 0:
            continue
        h = carray(uint16_at(values[source[i]] + 2 * row[i] * count), (count,))
        y = carray(float32_at(x.ctypes.data + 4 * place[i] * count), (count,))
        for v in range(count):
            y[v] = float_of_bits(np.uint32(h[v]) << np.uint32(16))


def gather_singles_reference(
    values: list[np.ndarray], source: np.ndarray, row: np.ndarray, place: np.ndarray, x: np.ndarray
) -> None:
    """``gather_singles`` in numpy."""
    for p, at, r in zip(place, source, row, strict=True):
        x[p] = values[at][r]


def gather_halves_reference(
    values: list[np.ndarray], source: np.ndarray, row: np.ndarray, place: np.ndarray, x: np.ndarray
) -> None:
    """``gather_halves`` in numpy."""
    for p, at, r in zip(place, source, row, strict=True):
        x[p] = values[at][r].view(np.float16)


def gather_bfloats_reference(
    values: list[np.ndarray], source: np.ndarray, row: np.ndarray, place: np.ndarray, x: np.ndarray
) -> None:
    """``gather_bfloats`` in numpy."""
    for p, at, r in zip(place, source, row, strict=True):
        x[p] = (values[at][r].astype(np.uint32) << 16).view(np.float32)
