"""A codec put together from its parts, and the spec strings that name one."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np

from ..errors import FormatError
from .axes import ChannelAxes
from .compressors import COMPRESSORS, Compressor
from .quantisers import QUANTISERS, Params, Quantiser


@dataclass(frozen=True)
class Codec:
    """How a block of features becomes bytes.

    Without a compressor a block is its stored values row by row, which is what Arrow calls a fixed
    shape tensor. Under a compressor it is stored channel by channel.
    """

    spec: str
    quantiser: Quantiser
    compressor: Compressor | None

    def encode(self, features: np.ndarray, params: Params) -> bytes | np.ndarray:
        """One block.

        Args:
            features: float32 [n, *shape].

        Returns:
            Stored values [n, *shape], or their compressed bytes.
        """
        axes = ChannelAxes.of(features.shape[1:])
        stored = self.quantiser.quantise(features, axes, params)
        if self.compressor is None:
            return stored
        by_channel = np.ascontiguousarray(axes.view(stored).transpose(1, 0, 2))
        return self.compressor.compress(by_channel)

    def decode(self, block: memoryview, rows: int, shape: tuple[int, ...], *, where: str) -> np.ndarray:
        """Stored values of a compressed block, [rows, *shape] in the quantiser's dtype.

        Raises:
            FormatError: ``bad-block``.
        """
        if self.compressor is None:
            raise TypeError(f"blocks of codec {self.spec} are not compressed")
        axes = ChannelAxes.of(shape)
        size = rows * math.prod(shape) * self.quantiser.dtype.itemsize
        raw = self.compressor.decompress(block, size, where)
        by_channel = np.frombuffer(raw, self.quantiser.dtype)
        by_channel = by_channel.reshape(axes.channels, rows * axes.outer, axes.inner)
        return np.ascontiguousarray(by_channel.transpose(1, 0, 2)).reshape(rows, *shape)


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
