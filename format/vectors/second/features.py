"""Feature shards (features.md)."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from .frames import pack_frame, unpack_frame
from .lz4_block import pack_lz4, unpack_lz4
from .members import check_format, digest, integer, parse_object, shape, text
from .packing import Block, pack, plain, unpack, unplain
from .quantisers import WIDTHS, Grid, fit, from_bits, parameter_bytes, read_parameters, to_bits
from .refused import Refused, check
from .sealed_arrow import SealedArrow, read_sealed_arrow, write_sealed_arrow
from .sealed_json import spell

ENTRY = b"hapistore.features"
CODECS = [name + end for name in WIDTHS for end in ("", "+zstd", "+lz4") if name + end != "u4c+lz4"]
MISSING = "missing-rows"
LARGEST = 64 << 30  # bytes of float32
COMPRESSED = pa.schema([pa.field("rows", pa.int32(), nullable=False), pa.field("block", pa.binary(), nullable=False)])
STORED = {"f32": pa.float32(), "f16": pa.float16(), "bf16": pa.uint16(), "u8c": pa.uint8(), "u4c": pa.uint8()}


@dataclass(frozen=True)
class Features:
    """What a shard says of itself, and its rows as float32 in C order."""

    description: dict[str, Any]
    values: bytes
    provenance: dict[str, Any] | None


def read_features(data: bytes, recipe: str, codec: str, images: str) -> Features:
    """All rows; the file's name says recipe, codec and images."""
    file = read_sealed_arrow(data)
    description = _read_description(file.schema)
    named = (description["recipe"], description["codec"], description["images"])
    check(named == (recipe, codec, images), "bad-name", "the features of something else")
    quantiser, _, compressor = codec.partition("+")
    grid = Grid.of(description["shape"])
    check(file.schema.equals(columns(codec, description["shape"])), "bad-features", "columns of another codec")
    parameters = read_parameters(_raw_parameters(file, quantiser, grid), quantiser, grid)
    if compressor:
        bits = _compressed_blocks(file.blocks, description["rows"], grid, quantiser, compressor)
    else:
        bits = _plain_blocks(file.blocks, description["rows"], grid, quantiser)
    said = file.notes.get("hapistore.provenance")
    provenance = None if said is None else parse_object(said, "bad-features")
    return Features(description, from_bits(bits, quantiser, grid, parameters), provenance)


def _read_description(schema: pa.Schema) -> dict[str, Any]:
    metadata = schema.metadata or {}
    check(ENTRY in metadata, "bad-features", "no description")
    description = parse_object(metadata[ENTRY], "bad-features")
    check_format(description, (MISSING,))
    for name in ("recipe", "images"):
        digest(description, name)
    check(text(description, "codec") in CODECS, "unknown-codec", f"codec {description['codec']}")
    size = integer(description, "rows") * math.prod(shape(description)) * 4
    check(size <= LARGEST, "too-large", f"features of {size} bytes")
    _check_missing(description)
    return description


def _check_missing(description: dict[str, Any]) -> None:
    """Rows without features: there if and only if they are required to be known."""
    required = MISSING in description.get("requires", [])
    check(required == ("missing" in description), "bad-field", "missing rows")
    if not required:
        return
    entries = description["missing"]
    check(isinstance(entries, list) and len(entries) > 0, "bad-field", "missing is no list of rows")
    least = 0
    for entry in entries:
        check(isinstance(entry, list) and len(entry) == 2, "bad-field", f"missing row {entry}")
        row = integer({"row": entry[0]}, "row", least=least, most=description["rows"] - 1)
        reason = text({"reason": entry[1]}, "reason")
        check(re.fullmatch(r"[a-z][a-z0-9-]{0,39}", reason) is not None, "bad-field", f"reason {reason}")
        least = row + 1


def columns(codec: str, sides: list[int]) -> pa.Schema:
    """The columns of a codec, for rows of a shape."""
    quantiser, _, compressor = codec.partition("+")
    if compressor:
        return COMPRESSED
    stored = [-(-math.prod(sides) // 2)] if quantiser == "u4c" else sides
    return pa.schema([pa.field("features", pa.fixed_shape_tensor(STORED[quantiser], stored), nullable=False)])


def _raw_parameters(file: SealedArrow, quantiser: str, grid: Grid) -> bytes:
    check("hapistore.params" in file.notes, "bad-params", "no parameters")
    try:
        frame = base64.b64decode(file.notes["hapistore.params"], validate=True)
    except ValueError:
        raise Refused("bad-params", "parameters that are no base64") from None
    size = parameter_bytes(quantiser, grid)
    return unpack_frame(frame, size, size, "bad-params")


def _plain_blocks(blocks: list[pa.RecordBatch], rows: int, grid: Grid, quantiser: str) -> list[int]:
    """Stored values of blocks of a tensor column, in C order."""
    check(all(block.num_rows for block in blocks), "bad-block", "a block without rows")
    check(sum(block.num_rows for block in blocks) == rows, "bad-features", "blocks that do not add up")
    width = WIDTHS[quantiser]
    row_bytes = -(-grid.values * width // 8)
    bits: list[int] = []
    for block in blocks:
        storage = block.column(0).storage
        values = storage.values
        check(not storage.null_count and not values.null_count, "bad-block", "nulls")
        data = values.buffers()[1].to_pybytes()
        for row in range(block.num_rows):
            bits += unplain(data[row * row_bytes :][:row_bytes], grid.values, width)
    return bits


def _compressed_blocks(
    blocks: list[pa.RecordBatch], rows: int, grid: Grid, quantiser: str, compressor: str
) -> list[int]:
    """Stored values of blocks that are packed, in C order; nothing is unpacked before all rows are known."""
    check(all(block.num_rows == 1 for block in blocks), "bad-block", "a block that has not one row")
    check(not any(column.null_count for block in blocks for column in block), "bad-block", "nulls")
    counts = [block.column(0)[0].as_py() for block in blocks]
    check(all(count >= 1 for count in counts), "bad-block", "a block without rows")
    check(sum(counts) == rows, "bad-features", "blocks that do not add up")
    bits: list[int] = []
    for count, block in zip(counts, blocks, strict=True):
        size = Block(count, grid, WIDTHS[quantiser])
        packed = block.column(1)[0].as_py()
        if compressor == "lz4":
            content = unpack_lz4(packed, size.least, size.most)
        else:
            content = unpack_frame(packed, size.least, size.most, "bad-block")
        bits += unpack(content, size)
    return bits


@dataclass(frozen=True)
class Shard:
    """All that a feature shard is made of; ``cuts`` are the rows at which its blocks end."""

    codec: str
    shape: list[int]
    values: bytes
    cuts: list[int]
    recipe: str = "ab" * 32
    images: str = "cd" * 32
    flags: int = 0
    provenance: dict[str, Any] | None = None

    @property
    def quantiser(self) -> str:
        return self.codec.partition("+")[0]

    def describe(self, **extra: Any) -> dict[str, Any]:
        said = {"recipe": self.recipe, "images": self.images, "codec": self.codec, "rows": self.cuts[-1]}
        return {"format": 1, **said, "shape": self.shape, **extra}


def write_features(shard: Shard, **extra: Any) -> bytes:
    """A file; ``extra`` goes into the description."""
    grid = Grid.of(shard.shape)
    raw = fit(shard.values, shard.quantiser, grid)
    parameters = read_parameters(raw, shard.quantiser, grid)
    bits = to_bits(shard.values, shard.quantiser, grid, parameters)
    pieces = [bits[a * grid.values : b * grid.values] for a, b in zip([0, *shard.cuts], shard.cuts, strict=False)]
    notes = {"hapistore.params": base64.b64encode(pack_frame(raw)).decode()}
    if shard.provenance is not None:
        notes["hapistore.provenance"] = spell(shard.provenance, None)
    schema = columns(shard.codec, shard.shape).with_metadata({ENTRY: spell(shard.describe(**extra), None)})
    return write_sealed_arrow(schema, [batch_of(shard, schema, piece) for piece in pieces], notes)


def batch_of(shard: Shard, schema: pa.Schema, bits: list[int]) -> pa.RecordBatch:
    """A block of stored values."""
    grid, width = Grid.of(shard.shape), WIDTHS[shard.quantiser]
    rows = len(bits) // grid.values
    compressor = shard.codec.partition("+")[2]
    if compressor:
        content = pack(bits, Block(rows, grid, width), shard.flags, classes_of(grid.channels))
        return packed_batch(rows, pack_lz4(content) if compressor == "lz4" else pack_frame(content), schema)
    data = b"".join(plain(bits[row * grid.values :][: grid.values], width) for row in range(rows))
    kind = schema.field(0).type
    stored = pa.Array.from_buffers(kind.value_type, rows * math.prod(kind.shape), [None, pa.py_buffer(data)])
    lists = pa.FixedSizeListArray.from_arrays(stored, math.prod(kind.shape))
    return pa.RecordBatch.from_arrays([pa.ExtensionArray.from_storage(kind, lists)], schema=schema)


def packed_batch(rows: int | None, frame: bytes | None, schema: pa.Schema = COMPRESSED) -> pa.RecordBatch:
    arrays = [pa.array([rows], pa.int32()), pa.array([frame], pa.binary())]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def classes_of(channels: int) -> bytes:
    """Some order that is not their own, with equal classes and some above 127: any bytes are an order."""
    return bytes((channels - channel + 1) // 2 * 77 % 256 for channel in range(channels))
