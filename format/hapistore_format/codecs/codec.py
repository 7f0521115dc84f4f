"""A codec put together from its parts, and the spec strings that name one."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np

from ..errors import FormatError
from . import layout_kernels as kernels
from .axes import ChannelAxes
from .compressors import COMPRESSORS, Compressor
from .layout import BlockShape, read_block, smallest_layout, write_block
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
            shape = self._block_shape(len(stored), features.shape[1:])
            layout = smallest_layout(stored, shape, self.compressor.sketch)
            return self.compressor.compress(write_block(stored, shape, layout), stored[0].nbytes)
        return self.pack_rows(stored)

    def pack_rows(self, stored: np.ndarray) -> np.ndarray:
        """Stored values [n, *shape] as the rows of an uncompressed block, [n, *raw_shape(shape)]."""
        if self.quantiser.bits != 4:
            return stored
        rows = np.zeros((len(stored), 2 * self.raw_shape(stored.shape[1:])[0]), np.uint8)
        rows[:, : math.prod(stored.shape[1:])] = stored.reshape(len(stored), -1)
        return kernels.pack_nibbles(rows.reshape(-1)).reshape(len(stored), -1)

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one row of an uncompressed block: the feature's, or its codes two a byte in one axis."""
        return (-(-math.prod(shape) // 2),) if self.quantiser.bits == 4 else shape

    def check(self, block: memoryview, rows: int, shape: tuple[int, ...], *, where: str) -> None:
        """Refuse compressed bytes that cannot hold so many rows, before memory is taken for these.

        Raises:
            FormatError: ``bad-block``.
        """
        found = self._require_compressor().unpacked_bytes(block, where=where)
        expected = self._block_shape(rows, shape)
        if not expected.least_bytes <= found <= expected.most_bytes:
            limits = f"{expected.least_bytes} to {expected.most_bytes}"
            raise FormatError("bad-block", f"a block claims {found} bytes, its rows take {limits}", where=where)

    def decode(self, block: memoryview | np.ndarray, out: np.ndarray, *, where: str) -> None:
        """Stored values of a block.

        Args:
            block: compressed bytes, or the array of an uncompressed block.
            out: [rows, *shape] in the quantiser's dtype, C-contiguous; filled.

        Raises:
            FormatError: ``bad-block``.
        """
        if isinstance(block, np.ndarray):
            out[:] = self.view(block, out.shape)
            return
        shape = self._block_shape(len(out), out.shape[1:])
        raw = self._require_compressor().decompress(block, shape.most_bytes, where=where)
        read_block(raw, shape, out, where=where)

    def view(self, block: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Stored values [rows, *feature shape] of an uncompressed block, without a copy where they are as in memory."""
        if self.quantiser.bits != 4:
            return block.reshape(shape)
        packed = np.ascontiguousarray(block).reshape(-1)
        codes = kernels.unpack_nibbles(packed, 2 * len(packed)).reshape(shape[0], 2 * self.raw_shape(shape[1:])[0])
        return codes[:, : math.prod(shape[1:])].reshape(shape)

    def _block_shape(self, rows: int, shape: tuple[int, ...]) -> BlockShape:
        return BlockShape(rows, ChannelAxes.of(shape), self.quantiser.dtype, self.quantiser.bits)

    def _require_compressor(self) -> Compressor:
        if self.compressor is None:
            raise TypeError(f"blocks of codec {self.spec} are not compressed")
        return self.compressor


# On maps, zstd over the codes as they come is smaller and faster than this.
_BEATEN = "u4c+lz4"


def codec_names() -> list[str]:
    """Every codec spec there is."""
    names = [name + tail for name in QUANTISERS for tail in ("", *(f"+{c}" for c in COMPRESSORS))]
    return [name for name in names if name != _BEATEN]


def get_codec(spec: str, *, where: str = "") -> Codec:
    """The codec named by ``spec``, e.g. ``u8c+zstd``; ``where`` it is named, for errors.

    Raises:
        FormatError: ``unknown-codec``.
    """
    if spec not in codec_names():
        near = difflib.get_close_matches(spec, codec_names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        listed = ", ".join(codec_names())
        raise FormatError("unknown-codec", f"codec {spec!r:.80} is none of {listed}{hint}", where=where)
    name, _, compressor = spec.partition("+")
    return Codec(spec, QUANTISERS[name], COMPRESSORS.get(compressor))
