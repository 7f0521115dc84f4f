"""General compressors on the same features: float32 as it is, and the very codes that u8c makes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import blosc2
import lz4.frame
import numpy as np
import pcodec
import zfpy
import zstandard

from hapistore_format import get_codec
from hapistore_format.codecs import kernels
from hapistore_format.codecs.axes import ChannelAxes

Block = tuple[Any, ...]


class Peer(NamedTuple):
    """``encode(x)`` float32 [n, *shape] to (bytes, …); ``decode`` its inverse, to float32 of the same shape."""

    encode: Callable[[np.ndarray], Block]
    decode: Callable[[Block], np.ndarray]


def _bytes_peer(compress: Callable[[bytes], bytes], decompress: Callable[[bytes], bytes]) -> Peer:
    return Peer(
        lambda x: (compress(x.tobytes()), x.shape),
        lambda block: np.frombuffer(decompress(block[0]), np.float32).reshape(block[1]),
    )


def _codes_peer(compress: Callable[[np.ndarray], bytes], decompress: Callable[[bytes], Any]) -> Peer:
    """Compresses u8c's codes row by row, and dequantises with hapistore's own kernel."""
    quantiser = get_codec("u8c").quantiser

    def encode(x: np.ndarray) -> Block:
        axes = ChannelAxes.of(x.shape[1:])
        params = quantiser.fit(x, axes)
        return compress(quantiser.quantise(x, axes, params)), x.shape, axes, params

    def decode(block: Block) -> np.ndarray:
        data, shape, axes, (scale, zero) = block
        out = np.empty(shape, np.float32)
        codes = np.frombuffer(decompress(data), np.uint8).reshape(shape)
        kernels.dequantise(axes.view(codes), scale, zero, axes.view(out))
        return out

    return Peer(encode, decode)


def _zstd(level: int) -> tuple[Callable[[Any], bytes], Callable[[bytes], bytes]]:
    return zstandard.ZstdCompressor(level=level).compress, zstandard.ZstdDecompressor().decompress


def _blosc(typesize: int, filter_: Any) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    def compress(data: Any) -> bytes:
        return bytes(blosc2.compress2(data, typesize=typesize, clevel=9, codec=blosc2.Codec.ZSTD, filters=[filter_]))

    return compress, blosc2.decompress2


def _npz_compress(data: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, x=np.frombuffer(data, np.uint8))
    return file.getvalue()


def _npz_decompress(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)["x"]


def _pcodec_peer() -> Peer:
    config = pcodec.ChunkConfig(compression_level=8)
    return Peer(
        lambda x: (pcodec.standalone.simple_compress(x.reshape(-1), config), x.shape),
        lambda block: pcodec.standalone.simple_decompress(block[0]).reshape(block[1]),
    )


def _zfp_peer(tolerance: float) -> Peer:
    return Peer(
        lambda x: (zfpy.compress_numpy(np.ascontiguousarray(x.reshape(len(x), -1)), tolerance=tolerance), x.shape),
        lambda block: zfpy.decompress_numpy(block[0]).reshape(block[1]),
    )


def peers(u8c_error: float) -> dict[str, Peer]:
    """By name; zfp is given the largest error that u8c makes on the data."""
    blosc2.set_nthreads(1)
    found = {
        "float32, npz": _bytes_peer(_npz_compress, lambda data: _npz_decompress(data).tobytes()),
        "float32, lz4": _bytes_peer(lz4.frame.compress, lz4.frame.decompress),
        "float32, zstd 3": _bytes_peer(*_zstd(3)),
        "float32, Blosc2 zstd 9 + bitshuffle": _bytes_peer(*_blosc(4, blosc2.Filter.BITSHUFFLE)),
        "float32, pcodec 8": _pcodec_peer(),
        "float32, zfp at u8c's error": _zfp_peer(u8c_error),
        "u8c's codes, npz": _codes_peer(_npz_compress, _npz_decompress),
        "u8c's codes, lz4": _codes_peer(lz4.frame.compress, lz4.frame.decompress),
        "u8c's codes, Blosc2 zstd 9 + bitshuffle": _codes_peer(*_blosc(1, blosc2.Filter.BITSHUFFLE)),
        "u8c's codes, Blosc2 zstd 9": _codes_peer(*_blosc(1, blosc2.Filter.NOFILTER)),
    }
    found |= {f"u8c's codes, zstd {level}": _codes_peer(*_zstd(level)) for level in (1, 3, 9, 19)}
    return found
