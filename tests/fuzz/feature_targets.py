"""What is fuzzed of feature shards: their description, their parameters, their blocks and what these unpack to."""

from __future__ import annotations

import json
import math
from typing import Any

import hostile
import numpy as np
import pyarrow as pa
import zstandard
from hostile import WHERE
from oracle import read_block_slowly

from hapistore_format import FeatureShardReader, codec_names, get_codec
from hapistore_format.codecs.axes import ChannelAxes
from hapistore_format.codecs.layout import BlockShape, read_block
from hapistore_format.codecs.quantisers import QUANTISERS

SHAPES = ((3,), (5, 2), (2, 3, 3), (2, 2, 2, 1), (70,), (1,), (9, 8))
PLAIN = [name for name in codec_names() if "+" not in name]
COMPRESSED = [name for name in codec_names() if "+" in name]


def features(data: bytes) -> None:
    """A whole feature shard, any byte of it changed."""
    _read(FeatureShardReader(hostile.resealed(data), where=WHERE))


def feature_header(data: bytes) -> None:
    """What a shard says of itself, over two rows of three values. Bytes: codec of its columns; JSON."""
    codec, text = pick(codec_names(), data)
    reader = _open(codec, (3,), text, [_two_rows(codec)])
    assert reader.header.codec in codec_names() and all(type(side) is int for side in reader.header.shape)
    _read(reader)


def feature_notes(data: bytes) -> None:
    """Parameters and provenance. Bytes: codec, whether parameters are as stored or as they unpack; an empty line
    parts them from the provenance."""
    codec, rest = pick(codec_names(), data)
    packed, rest = pick((True, False), rest)
    params, _, note = rest.partition(b"\n\n")
    text = hostile.packed(params) if packed else params.decode("latin-1")
    extra = {"hapistore.params": text, "hapistore.provenance": note.decode("latin-1") or "{}"}
    _read(_open(codec, (3,), _header(codec, 2, (3,)), [_two_rows(codec)], **extra))


def feature_blocks(data: bytes) -> None:
    """Compressed blocks. Bytes: codec, shape, rows of the header; then blocks parted by empty lines, each of which
    begins with its rows and whether a frame's content or a frame follows."""
    codec, rest = pick(COMPRESSED, data)
    shape, rest = pick(SHAPES, rest)
    rows, batches = 1 + sum(rest[:1]), []
    for block in rest[1:].split(b"\n\n")[:4]:
        content = block[2:] if sum(block[1:2]) % 2 else zstandard.compress(block[2:], 1)
        batches.append(_block(sum(block[:1]), content))
    _read(_open(codec, shape, _header(codec, rows, shape), batches))


def plain_blocks(data: bytes) -> None:
    """Blocks that are not compressed. Bytes: codec, shape, rows of the header and of three blocks; values."""
    codec, rest = pick(PLAIN, data)
    shape, rest = pick(SHAPES, rest)
    rows, *counts = rest[:4].ljust(4, b"\0")
    _read(_open(codec, shape, _header(codec, rows, shape), [_tensor(codec, shape, n, rest[4:]) for n in counts]))


def block(data: bytes) -> None:
    """``read_block`` alone, compared with a slow reader and watched for writes beside its rows."""
    quantiser, rest = pick(list(QUANTISERS.values()), data)
    feature_shape, rest = pick(SHAPES, rest)
    rows, raw = 1 + sum(rest[:1]), rest[1:]
    shape = BlockShape(rows, ChannelAxes.of(feature_shape), quantiser.dtype, quantiser.bits)
    size, guard = rows * math.prod(feature_shape), 64
    memory = np.full((size + 2 * guard) * quantiser.dtype.itemsize, 0x5A, np.uint8).view(quantiser.dtype)
    out = memory[guard : guard + size].reshape(rows, *feature_shape)
    try:
        if raw:  # what is shorter than any block is refused before
            read_block(raw, shape, out, where=WHERE)
            assert shape.least_bytes <= len(raw) <= shape.most_bytes
            expected = read_block_slowly(raw, shape)
            assert expected is not None and out.tobytes() == expected.tobytes()
    finally:
        assert set(memory[:guard].tobytes() + memory[guard + size :].tobytes()) == {0x5A}


def pick(choices: Any, data: bytes) -> tuple[Any, bytes]:
    """One of the choices by the first byte, and the bytes after it."""
    return choices[sum(data[:1]) % len(choices)], data[1:]


def _open(
    codec: str, shape: tuple[int, ...], header: bytes, batches: list[list[pa.Array]], **extra: str
) -> FeatureShardReader:
    channels = ChannelAxes.of(shape).channels
    params = b"\x80\x3f" * channels + bytes(4 * channels) if codec.startswith("u") else b""
    extra = {"hapistore.params": hostile.packed(params), **extra}
    return FeatureShardReader(hostile.feature_shard(codec, shape, header, batches, **extra), where=WHERE)


def _read(reader: FeatureShardReader) -> None:
    if math.prod((len(reader), *reader.header.shape)) > 1 << 20:
        return  # its rows may be as large as it says; tests/format holds the limits on that
    rows = reader.features()
    assert rows.dtype == np.float32 and rows.shape == (len(reader), *reader.header.shape)
    assert reader.features().tobytes() == rows.tobytes()


def _header(codec: str, rows: int, shape: tuple[int, ...]) -> bytes:
    value = {"format": 1, "recipe": hostile.RECIPE, "images": hostile.IMAGES, "codec": codec, "rows": rows}
    return json.dumps({**value, "shape": shape}).encode()


def _two_rows(codec: str) -> list[pa.Array]:
    if codec in PLAIN:
        return _tensor(codec, (3,), 2, b"\1\2\3")
    return _block(2, zstandard.compress(bytes(1 + 6 * get_codec(codec).quantiser.bits // 8)))


def _block(rows: int, data: bytes) -> list[pa.Array]:
    return [pa.array([rows if rows < 250 else rows - 256], pa.int32()), pa.array([data], pa.binary())]


def _tensor(codec: str, shape: tuple[int, ...], rows: int, data: bytes) -> list[pa.Array]:
    kind = hostile.feature_columns(codec, shape).field(0).type
    count, dtype = rows * kind.storage_type.list_size, np.dtype(kind.value_type.to_pandas_dtype())
    values = np.frombuffer(data[: count * dtype.itemsize].ljust(count * dtype.itemsize, b"\1"), dtype)
    storage = pa.FixedSizeListArray.from_arrays(pa.array(values), kind.storage_type.list_size)
    return [pa.ExtensionArray.from_storage(kind, storage)]
