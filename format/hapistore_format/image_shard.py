"""Image shards in the Arrow layout: encoded images and what follows from their bytes."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from .digests import record_digest, shard_digest
from .errors import DamagedError, FormatError
from .sealed_arrow import SealedFile, SealedWriter
from .sealed_json import check_format, parse_object, take

SCHEMA = pa.schema(
    [
        pa.field("image", pa.binary(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("orientation", pa.uint8(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("digest", pa.binary(32), nullable=False),
    ]
)
_META_KEY = b"hapistore.images"
# About what one Arrow Flight message or one range request carries well.
_BLOCK_BYTES = 4 << 20
MAX_IMAGE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One encoded image and what its header says (size before EXIF orientation)."""

    image: bytes
    width: int
    height: int
    orientation: int
    format: str
    digest: bytes


def write_image_shard(records: Sequence[ImageRecord]) -> tuple[str, memoryview]:
    """Serialise records in order.

    Returns:
        The shard digest and the file's bytes.
    """
    digest = shard_digest(record.digest for record in records)
    meta = json.dumps({"digest": digest, "format": 1, "rows": len(records)}, separators=(",", ":"))
    writer = SealedWriter(SCHEMA.with_metadata({_META_KEY: meta}))
    for block in _cut_blocks(records):
        columns = [pa.array([getattr(r, f.name) for r in block], type=f.type) for f in SCHEMA]
        writer.write(pa.record_batch(columns, schema=SCHEMA.with_metadata({_META_KEY: meta})))
    return digest, writer.finish()


def _cut_blocks(records: Sequence[ImageRecord]) -> Iterator[list[ImageRecord]]:
    block: list[ImageRecord] = []
    size = 0
    for record in records:
        if block and size + len(record.image) > _BLOCK_BYTES:
            yield block
            block, size = [], 0
        block.append(record)
        size += len(record.image)
    if block:
        yield block


class ImageShardReader:
    """Random access to the images of one shard, without copies.

    Args:
        data: the file's bytes (a memory map serves well); referenced, not copied.

    Raises:
        DamagedError: a checksum does not match.
        FormatError: ``bad-images``.
    """

    def __init__(self, data: bytes | memoryview | pa.Buffer, *, where: str) -> None:
        self.where = where
        sealed = SealedFile(data, where=where)
        if not sealed.schema.remove_metadata().equals(SCHEMA):
            raise FormatError("bad-images", f"its columns are {sealed.schema.names}", where=where)
        meta = parse_object((sealed.schema.metadata or {}).get(_META_KEY, b""), "bad-images", where=where)
        check_format(meta, 1, where=where)
        self._blocks = [sealed.block(i) for i in range(sealed.num_blocks)]
        if any(not block.num_rows or any(column.null_count for column in block.columns) for block in self._blocks):
            raise FormatError("bad-images", "a block has no rows, or rows without a value", where=where)
        self._images = [_binary_views(block.column(0)) for block in self._blocks]
        self._ends = list(np.cumsum([block.num_rows for block in self._blocks]).tolist())
        self.digest = take(meta, "digest", str, where=where)
        if take(meta, "rows", int, where=where) != len(self):
            raise FormatError("bad-images", f"it has {len(self)} rows, not the {meta['rows']} it claims", where=where)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def image(self, row: int) -> memoryview:
        """Encoded bytes of ``row``, a view into the shard."""
        block, offset = self._locate(row)
        view, offsets = self._images[block]
        return view[offsets[offset] : offsets[offset + 1]]

    def column(self, name: str) -> pa.ChunkedArray:
        """One column over all rows: ``width``, ``height``, ``orientation``, ``format`` or ``digest``."""
        return pa.chunked_array([block.column(name) for block in self._blocks])

    def record_digests(self) -> list[bytes]:
        """Raw record digests in row order, as stored."""
        return [value.as_py() for value in self.column("digest")]

    def check_digests(self) -> None:
        """Hash every image again.

        Raises:
            DamagedError: ``bad-digest``, naming the row.
        """
        stored = self.record_digests()
        for row, digest in enumerate(stored):
            if record_digest(self.image(row)) != digest:
                raise DamagedError("bad-digest", f"the image in row {row} is not the one named", where=self.where)
        if shard_digest(stored) != self.digest:
            raise DamagedError("bad-digest", "its records are not those of the shard it claims to be", where=self.where)

    def _locate(self, row: int) -> tuple[int, int]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        block = bisect.bisect_right(self._ends, row)
        return block, row - (self._ends[block - 1] if block else 0)


def _binary_views(column: pa.Array) -> tuple[memoryview, list[int]]:
    """Data buffer and offsets of a binary column: slicing them costs a hundredth of ``as_py``."""
    _, offsets, data = column.buffers()
    view = memoryview(data) if data is not None else memoryview(b"")
    ends = np.frombuffer(offsets, dtype=np.int32, count=len(column) + 1, offset=column.offset * 4)
    return view, ends.tolist()
