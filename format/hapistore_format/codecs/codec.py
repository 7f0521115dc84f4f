"""A codec put together from its parts, and the spec strings that name one."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np

from ..errors import FormatError
from . import kernels
from .axes import ChannelAxes
from .compressors import COMPRESSORS, Compressor
from .layout import block_bytes, from_block, to_block
from .quantisers import QUANTISERS, Params, Quantiser


@dataclass(frozen=True)
class Codec:
    """How a block of features becomes bytes.

    Without a compressor a block is its stored values row by row, which is what Arrow calls a fixed
    shape tensor. Under a compressor it is stored channel by channel; see ``layout``.
    """

    spec: str
    quantiser: Quantiser
    compressor: Compressor | None

    def encode(self, features: np.ndarray, params: Params) -> bytes | np.ndarray:
        """One block.

        Args:
            features: float32 [n, *shape].

        Returns:
            Stored values [n, *raw_shape(shape)], or their compressed bytes.
        """
        axes = ChannelAxes.of(features.shape[1:])
        stored = self.quantiser.quantise(features, axes, params)
        if self.compressor is not None:
            return self.compressor.compress(to_block(stored, axes, self.quantiser.bits), stored[0].nbytes)
        if self.quantiser.bits != 4:
            return stored
        rows = np.zeros((len(stored), 2 * self.raw_shape(features.shape[1:])[0]), np.uint8)
        rows[:, : axes.row_values] = stored.reshape(len(stored), -1)
        return kernels.pack_nibbles(rows.reshape(-1)).reshape(len(stored), -1)

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one row of an uncompressed block: the feature's, or its codes two a byte in one axis."""
        return (-(-math.prod(shape) // 2),) if self.quantiser.bits == 4 else shape

    def decode(self, block: memoryview | np.ndarray, rows: int, shape: tuple[int, ...], *, where: str) -> np.ndarray:
        """Stored values of a block, [rows, *shape] in the quantiser's dtype.

        Args:
            block: compressed bytes, or the array of an uncompressed block.

        Raises:
            FormatError: ``bad-block``.
        """
        quantiser = self.quantiser
        if isinstance(block, np.ndarray):
            if quantiser.bits != 4:
                return block.reshape(rows, *shape)
            packed = np.ascontiguousarray(block).reshape(-1)
            codes = kernels.unpack_nibbles(packed, 2 * len(packed)).reshape(rows, -1)
            return np.ascontiguousarray(codes[:, : math.prod(shape)]).reshape(rows, *shape)
        if self.compressor is None:
            raise TypeError(f"blocks of codec {self.spec} are not compressed")
        size = block_bytes(ChannelAxes.of(shape), rows, quantiser.dtype, quantiser.bits)
        raw = self.compressor.decompress(block, size, where)
        return from_block(raw, rows, shape, quantiser.dtype, quantiser.bits)


def codec_names() -> list[str]:
    """Every codec spec there is."""
    return [name + tail for name in QUANTISERS for tail in ("", *(f"+{c}" for c in COMPRESSORS))]


def get_codec(spec: str) -> Codec:
    """The codec named by ``spec``, e.g. ``u8c+zstd``.

    Raises:
        FormatError: ``unknown-codec``.
    """
    name, _, compressor = spec.partition("+")
    if name not in QUANTISERS or ("+" in spec and compressor not in COMPRESSORS):
        near = difflib.get_close_matches(spec, codec_names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise FormatError("unknown-codec", f"codec {spec!r} is none of {', '.join(codec_names())}{hint}")
    return Codec(spec, QUANTISERS[name], COMPRESSORS.get(compressor))
