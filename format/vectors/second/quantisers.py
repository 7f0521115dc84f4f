"""Quantisers: features, as float32, to the bits that are stored, and back (codecs.md)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction

from .floats import (
    LARGEST_BF16,
    LARGEST_F16,
    LARGEST_F32,
    bf16_bits,
    bf16_value,
    bytes_of,
    f16_bits,
    f16_value,
    floats_of,
)
from .refused import check

WIDTHS = {"f32": 32, "f16": 16, "bf16": 16, "u8c": 8, "u4c": 4}  # bits of a stored value
CODES = ("u8c", "u4c")


@dataclass(frozen=True)
class Grid:
    """How a row's values lie: [outer, channels, inner] in C order."""

    outer: int
    channels: int
    inner: int

    @classmethod
    def of(cls, shape: list[int]) -> Grid:
        if len(shape) == 2:
            return cls(shape[0], shape[1], 1)
        return cls(1, shape[0], math.prod(shape[1:]))

    @property
    def values(self) -> int:
        return self.outer * self.channels * self.inner

    def channel(self, position: int) -> int:
        return position // self.inner % self.channels


def parameter_bytes(quantiser: str, grid: Grid) -> int:
    return 6 * grid.channels if quantiser in CODES else 0


def read_parameters(raw: bytes, quantiser: str, grid: Grid) -> list[tuple[float, float]]:
    """Scale and zero of each channel (bad-params)."""
    check(len(raw) == parameter_bytes(quantiser, grid), "bad-params", f"parameters of {len(raw)} bytes")
    if not raw:
        return []
    scales = [bf16_value(bits) for bits in struct.unpack_from(f"<{grid.channels}H", raw)]
    zeros = floats_of(raw[2 * grid.channels :])
    check(all(math.isfinite(s) and s >= 0 for s in scales), "bad-params", "a scale that is none")
    check(all(math.isfinite(z) for z in zeros), "bad-params", "a zero that is none")
    return list(zip(scales, zeros, strict=True))


def fit(features: bytes, quantiser: str, grid: Grid) -> bytes:
    """The parameters of a whole shard (not-finite, out-of-range)."""
    values = floats_of(features)
    if quantiser != "f32":
        check(all(math.isfinite(v) for v in values), "not-finite", "NaN or an infinity")
    largest = {"f16": LARGEST_F16, "bf16": LARGEST_BF16}.get(quantiser)
    check(largest is None or all(abs(v) <= largest for v in values), "out-of-range", f"beyond {largest}")
    if quantiser not in CODES:
        return b""
    channels: list[list[float]] = [[] for _ in range(grid.channels)]
    for position, value in enumerate(values):
        channels[grid.channel(position)].append(value)
    zeros = [min(channel) for channel in channels]
    ranges = [Fraction(max(channel)) - Fraction(min(channel)) for channel in channels]
    check(all(r <= Fraction(LARGEST_F32) / 4 for r in ranges), "out-of-range", "a channel's extremes are too far apart")
    levels = (1 << WIDTHS[quantiser]) - 1
    return struct.pack(f"<{grid.channels}H", *(_bf16_above(r / levels) for r in ranges)) + bytes_of(zeros)


def _bf16_above(value: Fraction) -> int:
    """The bits of the smallest bfloat16 that is not below a value that is not negative."""
    bits = max(0, bf16_bits(float(value)) - 2)
    while Fraction(bf16_value(bits)) < value:
        bits += 1
    return bits


def to_bits(features: bytes, quantiser: str, grid: Grid, parameters: list[tuple[float, float]]) -> list[int]:
    """The stored values, as unsigned integers, in C order."""
    if quantiser == "f32":
        return list(struct.unpack(f"<{len(features) // 4}I", features))
    values = floats_of(features)
    if quantiser not in CODES:
        return [f16_bits(v) if quantiser == "f16" else bf16_bits(v) for v in values]
    most = (1 << WIDTHS[quantiser]) - 1
    codes = []
    for position, value in enumerate(values):
        scale, zero = parameters[grid.channel(position)]
        codes.append(min(max(round((value - zero) / scale), 0), most) if scale else 0)
    return codes


def from_bits(bits: list[int], quantiser: str, grid: Grid, parameters: list[tuple[float, float]]) -> bytes:
    """The features, as float32."""
    if quantiser == "f32":
        return struct.pack(f"<{len(bits)}I", *bits)
    if quantiser == "f16":
        return bytes_of([f16_value(b) for b in bits])
    if quantiser == "bf16":
        return struct.pack(f"<{len(bits)}I", *(b << 16 for b in bits))
    values = []
    for position, code in enumerate(bits):
        scale, zero = parameters[grid.channel(position)]
        (product,) = floats_of(bytes_of([scale * code]))
        values.append(zero + product)
    return bytes_of(values)
