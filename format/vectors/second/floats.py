"""The small floating-point types, by their bits. Lists of float32 are kept as bytes, so that a NaN stays itself."""

from __future__ import annotations

import math
import struct

LARGEST_F16 = 65504.0
LARGEST_F32 = (2 - 2**-23) * 2.0**127
LARGEST_BF16 = (2 - 2**-7) * 2.0**127


def floats_of(data: bytes) -> list[float]:
    """Float32 values as Python floats, which hold them exactly."""
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def bytes_of(values: list[float]) -> bytes:
    """Python floats rounded to float32; what rounds beyond the largest becomes an infinity."""
    return b"".join(_f32(value) for value in values)


def _f32(value: float) -> bytes:
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, value))


def f16_bits(value: float) -> int:
    """Rounded to nearest, ties to even."""
    return int(struct.unpack("<H", struct.pack("<e", value))[0])


def f16_value(bits: int) -> float:
    return float(struct.unpack("<e", struct.pack("<H", bits))[0])


def bf16_bits(value: float) -> int:
    """A float32 value rounded to nearest, ties to even."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return int(bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def bf16_value(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits << 16))[0])
