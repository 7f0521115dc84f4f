"""General compressors on the same features: float32 as it is, and the very values that a quantiser makes of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import blosc2
import lz4.block
import lz4.frame
import numpy as np
import pcodec
import zfpy
import zstandard

from hapistore_format import get_codec
from hapistore_format.codecs.axes import ChannelAxes
from hapistore_format.codecs.layout import BlockShape, read_block, smallest_layout, write_block

Block = tuple[Any, ...]
_Compress = Callable[[np.ndarray], bytes]
_Decompress = Callable[[bytes], Any]


class Peer(NamedTuple):
    """``encode(x)``: float32 [n, *shape] to (bytes, …); ``decode(block, out)``: back, into float32 [n, *shape]."""

    encode: Callable[[np.ndarray], Block]
    decode: Callable[[Block, np.ndarray], Any]


def _float_peer(compress: _Compress, decompress: _Decompress) -> Peer:
    def decode(block: Block, out: np.ndarray) -> None:
        out.reshape(-1)[:] = np.frombuffer(decompress(block[0]), np.float32)

    return Peer(lambda x: (compress(x),), decode)


def _stored_peer(quantiser_name: str, compress: _Compress, decompress: _Decompress) -> Peer:
    """Compresses a quantiser's stored values row by row; the rest of decoding is hapistore's own."""
    codec = get_codec(quantiser_name)
    quantiser = codec.quantiser

    def encode(x: np.ndarray) -> Block:
        axes = ChannelAxes.of(x.shape[1:])
        params = quantiser.fit(x, axes)
        return compress(np.asarray(codec.encode(x, params))), params

    def decode(block: Block, out: np.ndarray) -> None:
        data, params = block
        values = np.frombuffer(decompress(data), quantiser.dtype)
        stored = codec.view(values.reshape(len(out), -1), out.shape)
        quantiser.gather(stored, np.arange(len(out)), ChannelAxes.of(out.shape[1:]), params, out)

    return Peer(encode, decode)


def _own_layout_peer(quantiser_name: str, compress: _Compress, decompress: _Decompress) -> Peer:
    """Hapistore's blocks through another compressor."""
    quantiser = get_codec(quantiser_name).quantiser

    def encode(x: np.ndarray) -> Block:
        axes = ChannelAxes.of(x.shape[1:])
        params = quantiser.fit(x, axes)
        stored = quantiser.quantise(x, axes, params)
        shape = BlockShape(len(x), axes, quantiser.dtype, quantiser.bits)
        return compress(write_block(stored, shape, smallest_layout(stored, shape, compress))), params

    def decode(block: Block, out: np.ndarray) -> None:
        data, params = block
        axes = ChannelAxes.of(out.shape[1:])
        stored = np.empty(out.shape, quantiser.dtype)
        read_block(decompress(data), BlockShape(len(out), axes, quantiser.dtype, quantiser.bits), stored, where="")
        quantiser.gather(stored, np.arange(len(out)), axes, params, out)

    return Peer(encode, decode)


def _zstd(level: int) -> tuple[_Compress, _Decompress]:
    return zstandard.ZstdCompressor(level=level).compress, zstandard.ZstdDecompressor().decompress


def _blosc(filter_: Any, typesize: int) -> tuple[_Compress, _Decompress]:
    def compress(data: np.ndarray) -> bytes:
        return bytes(blosc2.compress2(data, typesize=typesize, clevel=9, codec=blosc2.Codec.ZSTD, filters=[filter_]))

    return compress, blosc2.decompress2


def _lz4_high(data: np.ndarray) -> bytes:
    return bytes(lz4.block.compress(data.data, mode="high_compression", compression=9))


def _npz() -> tuple[_Compress, _Decompress]:
    def compress(data: np.ndarray) -> bytes:
        file = io.BytesIO()
        np.savez_compressed(file, x=data)
        return file.getvalue()

    return compress, lambda data: np.load(io.BytesIO(data), allow_pickle=False)["x"].tobytes()


def _pcodec_peer() -> Peer:
    config = pcodec.ChunkConfig(compression_level=8)
    return Peer(
        lambda x: (pcodec.standalone.simple_compress(x.reshape(-1), config),),
        lambda block, out: pcodec.standalone.simple_decompress_into(block[0], out.reshape(-1)),
    )


def _pcodec_halves_peer() -> Peer:
    config = pcodec.ChunkConfig(compression_level=8)
    return _stored_peer(
        "f16",
        lambda data: pcodec.standalone.simple_compress(data.reshape(-1), config),
        lambda data: pcodec.standalone.simple_decompress(data).tobytes(),
    )


def _zfp_peer(tolerance: float) -> Peer:
    def decode(block: Block, out: np.ndarray) -> None:
        out.reshape(len(out), -1)[:] = zfpy.decompress_numpy(block[0])

    return Peer(
        lambda x: (zfpy.compress_numpy(np.ascontiguousarray(x.reshape(len(x), -1)), tolerance=tolerance),), decode
    )


def peers(u8c_error: float) -> dict[str, Peer]:
    """By name; zfp is given the largest error that u8c makes on the data."""
    blosc2.set_nthreads(1)
    lz4_pair = (lz4.frame.compress, lz4.frame.decompress)
    bits, bytes_, none = blosc2.Filter.BITSHUFFLE, blosc2.Filter.SHUFFLE, blosc2.Filter.NOFILTER
    found = {
        "float32, npz": _float_peer(*_npz()),
        "float32, lz4": _float_peer(*lz4_pair),
        "float32, zstd 3": _float_peer(*_zstd(3)),
        "float32, Blosc2 zstd 9 + shuffle": _float_peer(*_blosc(bytes_, 4)),
        "float32, Blosc2 zstd 9 + bitshuffle": _float_peer(*_blosc(bits, 4)),
        "float32, pcodec 8": _pcodec_peer(),
        "float32, zfp at u8c's error": _zfp_peer(u8c_error),
        "f16's values, pcodec 8": _pcodec_halves_peer(),
        "u8c's codes, npz": _stored_peer("u8c", *_npz()),
        "u8c's codes, lz4": _stored_peer("u8c", *lz4_pair),
        "u4c's blocks, lz4 high compression": _own_layout_peer("u4c", _lz4_high, lz4.block.decompress),
        "u8c's blocks, not compressed": _own_layout_peer("u8c", lambda data: data.tobytes(), bytes),
    }
    for name, size in (("f16", 2), ("bf16", 2), ("u8c", 1), ("u4c", 1)):
        values = "codes" if size == 1 else "values"
        found[f"{name}'s {values}, Blosc2 zstd 9"] = _stored_peer(name, *_blosc(none if size == 1 else bytes_, size))
        found[f"{name}'s {values}, Blosc2 zstd 9 + bitshuffle"] = _stored_peer(name, *_blosc(bits, size))
        found[f"{name}'s {values}, zstd 19"] = _stored_peer(name, *_zstd(19))
    found |= {f"u8c's codes, zstd {level}": _stored_peer("u8c", *_zstd(level)) for level in (1, 3, 9)}
    return found
