"""Quantisers: float32 features to a stored dtype and back.

A quantiser may learn parameters from all rows of a shard (``fit``); they are stored once a shard.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from ..errors import FormatError
from . import gather_kernels as gathering
from . import value_kernels as kernels
from .axes import ChannelAxes

Params = tuple[np.ndarray, ...]


class Addresses(NamedTuple):
    """Where the stored rows and the parameters of several shards are: int64 [shards] each, 0 where there are none."""

    values: np.ndarray
    params: tuple[np.ndarray, np.ndarray]

    @classmethod
    def none(cls, shards: int) -> Addresses:
        values, first, second = np.zeros((3, shards), np.int64)
        return cls(values, (first, second))

    def put(self, shard: int, stored: np.ndarray, params: Params) -> None:
        """Enter one shard's arrays, C-contiguous, which the caller keeps."""
        self.values[shard] = stored.ctypes.data
        for addresses, array in zip(self.params, params, strict=False):
            addresses[shard] = array.ctypes.data

    def only(self, shards: np.ndarray) -> Addresses:
        """A copy with nothing but these: bool [shards]."""
        return Addresses(np.where(shards, self.values, 0), self.params)


class Picked(NamedTuple):
    """Rows of several shards, int64 [k] each: row ``rows[i]`` of shard ``shards[i]`` goes to place ``places[i]``."""

    shards: np.ndarray
    rows: np.ndarray
    places: np.ndarray


class Quantiser(Protocol):
    """One way to store a float32.

    Thread-safe and stateless. ``axes`` describes one row; ``n`` counts rows.
    """

    name: str
    dtype: np.dtype
    bits: int
    lossless: bool

    def fit(self, features: np.ndarray, axes: ChannelAxes) -> Params:
        """Learn parameters from a shard's features, float32 [n, *shape].

        Raises:
            FormatError: ``not-finite`` or ``out-of-range``, naming the row.
        """

    def quantise(self, features: np.ndarray, axes: ChannelAxes, params: Params) -> np.ndarray:
        """float32 [n, *shape] to stored values of the same shape."""

    def gather(self, stored: np.ndarray, rows: np.ndarray, axes: ChannelAxes, params: Params, out: np.ndarray) -> None:
        """Rows ``rows`` (int64 [k]) of ``stored`` [n, *shape] into ``out``, float32 [k, *shape]."""

    def gather_from(self, addresses: Addresses, picked: Picked, axes: ChannelAxes, out: np.ndarray) -> None:
        """Picked rows into ``out``, float32 [n, values of a row].

        Nothing is checked. Rows of shards that have no address are left out. Fastest in order of shards.
        """

    def gather_stored_from(self, addresses: Addresses, picked: Picked, out: np.ndarray) -> None:
        """The same of stored values, ``out`` being of the quantiser's dtype [n, values of a row]."""

    def pack(self, params: Params) -> bytes:
        """Parameters as bytes."""

    def packed_bytes(self, axes: ChannelAxes) -> int:
        """How many bytes ``pack`` makes."""

    def unpack(self, data: bytes, axes: ChannelAxes, *, where: str) -> Params:
        """Parameters from bytes.

        Raises:
            FormatError: ``bad-params``.
        """


class _Gathering:
    """Rows of one shard as those of several are gathered."""

    def gather(self, stored: np.ndarray, rows: np.ndarray, axes: ChannelAxes, params: Params, out: np.ndarray) -> None:
        _check_gather(stored, rows, out)
        stored, addresses = np.ascontiguousarray(stored), Addresses.none(1)
        addresses.put(0, stored, params)
        flat = out.reshape(len(rows), axes.row_values)
        places = np.arange(len(rows))
        self.gather_from(addresses, Picked(np.zeros_like(places), np.asarray(rows, np.int64), places), axes, flat)

    def gather_from(self, addresses: Addresses, picked: Picked, axes: ChannelAxes, out: np.ndarray) -> None:
        raise NotImplementedError

    def gather_stored_from(self, addresses: Addresses, picked: Picked, out: np.ndarray) -> None:
        gathering.gather_stored(addresses.values, *picked, out.view(np.uint8))


class _Float(_Gathering):
    """Values kept as a float type, without parameters.

    Args:
        dtype: of the stored values; largest: the largest magnitude that does not round to infinity, None where
            every value is stored as it is.
    """

    def __init__(self, name: str, dtype: str, *, largest: float | None) -> None:
        self.name = name
        self.dtype = np.dtype(dtype)
        self.bits = 8 * self.dtype.itemsize
        self.lossless = largest is None
        self._largest = largest

    def fit(self, features: np.ndarray, axes: ChannelAxes) -> Params:
        if self._largest is not None:
            for row, values in enumerate(features):
                extreme = np.abs(values).max(initial=0)
                if not extreme <= self._largest:  # also where it is NaN
                    raise _unstorable(row, float(extreme), self.name)
        return ()

    def quantise(self, features: np.ndarray, axes: ChannelAxes, params: Params) -> np.ndarray:
        return np.ascontiguousarray(features, dtype=self.dtype)

    def gather_from(self, addresses: Addresses, picked: Picked, axes: ChannelAxes, out: np.ndarray) -> None:
        kernel = gathering.gather_singles if self.bits == 32 else gathering.gather_halves
        kernel(addresses.values, *picked, out)

    def pack(self, params: Params) -> bytes:
        return b""

    def packed_bytes(self, axes: ChannelAxes) -> int:
        return 0

    def unpack(self, data: bytes, axes: ChannelAxes, *, where: str) -> Params:
        if data:
            raise FormatError("bad-params", f"codec {self.name} takes no parameters", where=where)
        return ()


class _BFloat16(_Float):
    """The high halves of float32 values, as uint16: neither numpy nor Arrow has the type."""

    def quantise(self, features: np.ndarray, axes: ChannelAxes, params: Params) -> np.ndarray:
        stored = np.empty(features.shape, self.dtype)
        kernels.round_to_bfloat16(np.ascontiguousarray(features).view(np.uint32).reshape(-1), stored.reshape(-1))
        return stored

    def gather_from(self, addresses: Addresses, picked: Picked, axes: ChannelAxes, out: np.ndarray) -> None:
        gathering.gather_bfloats(addresses.values, *picked, out)


class _UIntPerChannel(_Gathering):
    """A few bits per value: value = zero + scale × code, scale and zero per channel and shard.

    ``zero`` is the channel's minimum. ``scale`` is (max − min) / L rounded up to bfloat16, with L = 255 for
    ``u8c`` and 15 for ``u4c``: half the bytes, and no code beyond L. For a channel spanning [min, max] the error of
    a value is at most (max − min) / D + 2**-22 × max(\\|min\\|, \\|max\\|) + 2**-133, with D = 500 for ``u8c`` and
    29 for ``u4c``; a constant channel is exact. Codes are one a byte in memory, of ``u4c`` two a byte when stored.
    """

    dtype = np.dtype(np.uint8)
    lossless = False

    def __init__(self, name: str, bits: int) -> None:
        self.name = name
        self.bits = bits
        self._levels = (1 << bits) - 1

    def fit(self, features: np.ndarray, axes: ChannelAxes) -> Params:
        low = np.empty(axes.channels, np.float32)
        high = np.empty(axes.channels, np.float32)
        bad = kernels.channel_range(axes.view(features), low, high)
        if bad >= 0:
            row = bad // axes.outer
            values = features[row]
            raise _unstorable(row, float(values[~np.isfinite(values)].flat[0]), self.name)
        span = high.astype(np.float64) - low
        if span.max(initial=0) > np.finfo(np.float32).max / 4:
            raise FormatError("out-of-range", f"a channel spans {span.max():.3g}, too far for codec {self.name}")
        return _round_up_to_bfloat16(span / self._levels), low

    def quantise(self, features: np.ndarray, axes: ChannelAxes, params: Params) -> np.ndarray:
        stored = np.empty(features.shape, np.uint8)
        scale, zero = params
        kernels.quantise(axes.view(features), scale, zero, self._levels, axes.view(stored))
        return stored

    def gather_from(self, addresses: Addresses, picked: Picked, axes: ChannelAxes, out: np.ndarray) -> None:
        gathering.gather_codes(addresses.values, *addresses.params, *picked, *axes, out)

    def pack(self, params: Params) -> bytes:
        scale, zero = params
        return (scale.view(np.uint32) >> 16).astype("<u2").tobytes() + zero.astype("<f4").tobytes()

    def packed_bytes(self, axes: ChannelAxes) -> int:
        return 6 * axes.channels

    def unpack(self, data: bytes, axes: ChannelAxes, *, where: str) -> Params:
        if len(data) != self.packed_bytes(axes):
            raise FormatError("bad-params", f"{len(data)} bytes, expected {self.packed_bytes(axes)}", where=where)
        scale = (np.frombuffer(data, "<u2", axes.channels).astype(np.uint32) << 16).view(np.float32)
        zero = np.frombuffer(data, "<f4", axes.channels, 2 * axes.channels).astype(np.float32)
        if not (np.isfinite(scale).all() and np.isfinite(zero).all() and (scale >= 0).all()):
            raise FormatError("bad-params", "a scale or zero is no finite number", where=where)
        return scale, zero


def _round_up_to_bfloat16(values: np.ndarray) -> np.ndarray:
    """The smallest bfloat16 (as float32) not below each value, float64 and ≥ 0."""
    single = values.astype(np.float32)
    single = np.where(single < values, np.nextafter(single, np.float32(np.inf)), single)
    bits = single.view(np.uint32).astype(np.uint64)
    return ((bits + 0xFFFF) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def _check_gather(stored: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """The kernels check no bounds, and would fill a copy of a strided ``out``."""
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(stored):
        raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(stored)}")
    if out.shape != (len(rows), *stored.shape[1:]) or not out.flags.c_contiguous:
        raise ValueError(f"out is {out.shape}, expected {(len(rows), *stored.shape[1:])}, C-contiguous")


def _unstorable(row: int, value: float, codec: str) -> FormatError:
    code = "out-of-range" if np.isfinite(value) else "not-finite"
    return FormatError(code, f"row {row} holds {value}, which codec {codec} cannot store; choose f32 or f32+zstd")


_LARGEST_BFLOAT16 = 2.0**127 * (2 - 2.0**-7)

QUANTISERS: dict[str, Quantiser] = {
    "f32": _Float("f32", "<f4", largest=None),
    "f16": _Float("f16", "<f2", largest=65504.0),
    "bf16": _BFloat16("bf16", "<u2", largest=_LARGEST_BFLOAT16),
    "u8c": _UIntPerChannel("u8c", 8),
    "u4c": _UIntPerChannel("u4c", 4),
}
"""By name. ``f32`` is exact (NaN and Inf included); ``f16`` and ``bf16`` round to nearest even: the error of x is at
most max(2**-11 × |x|, 2**-25) and max(2**-8 × |x|, 2**-134); for ``u8c`` and ``u4c`` see their class."""
