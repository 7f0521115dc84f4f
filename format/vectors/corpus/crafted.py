"""Feature shards of any description, parameters and blocks: what a hostile writer can make."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pyarrow as pa
from second.features import ENTRY, Shard, batch_of, columns, packed_batch
from second.frames import pack_frame
from second.quantisers import Grid, fit, read_parameters, to_bits
from second.sealed_arrow import write_sealed_arrow

Frames = list[tuple[int | None, bytes | None]]


def craft(
    shard: Shard,
    *,
    description: dict[str, Any] | str | None = None,
    schema: pa.Schema | None = None,
    batches: list[pa.RecordBatch] | None = None,
    frames: Frames | None = None,
    parameters: bytes | None = None,
    notes: dict[str, str] | None = None,
    **writing: Any,
) -> bytes:
    """The shard, with what is given in the place of what belongs there.

    Args:
        description: an object, or any text. frames: rows and bytes of compressed blocks. parameters: before they
            are packed. notes: instead of the parameters' entry. writing: of ``write_sealed_arrow``.
    """
    said = shard.describe() if description is None else description
    entry = {ENTRY: said if isinstance(said, str) else json.dumps(said)}
    schema = (schema or columns(shard.codec, shard.shape)).with_metadata(entry)
    raw = fit(shard.values, shard.quantiser, Grid.of(shard.shape))
    if frames is not None:
        batches = [packed_batch(rows, frame) for rows, frame in frames]
    if batches is None:
        batches = blocks_of(shard, raw)
    batches = [pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches]
    packed = base64.b64encode(pack_frame(raw if parameters is None else parameters)).decode()
    return write_sealed_arrow(schema, batches, {"hapistore.params": packed} if notes is None else notes, **writing)


def blocks_of(shard: Shard, raw: bytes = b"") -> list[pa.RecordBatch]:
    """The blocks of a shard whose parameters are ``raw``."""
    grid = Grid.of(shard.shape)
    bits = to_bits(shard.values, shard.quantiser, grid, read_parameters(raw, shard.quantiser, grid))
    schema = columns(shard.codec, shard.shape)
    cuts = [0, *shard.cuts]
    return [
        batch_of(shard, schema, bits[a * grid.values : b * grid.values]) for a, b in zip(cuts, cuts[1:], strict=False)
    ]


def raw_frame(content: bytes, claimed: int | None = None) -> bytes:
    """A zstd frame of one raw block, which claims to be as long as it is unless told."""
    size = len(content) if claimed is None else claimed
    head = struct.pack("<IBQ", 0xFD2FB528, 0b11100000, size)  # one segment, size in eight bytes
    return head + (1 | len(content) << 3).to_bytes(3, "little") + content
