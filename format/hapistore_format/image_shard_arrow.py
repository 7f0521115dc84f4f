"""Image shards in the Arrow layout: a sealed Arrow file, for streaming and for any Arrow tool."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from .digests import shard_digest
from .errors import FormatError
from .image_shard import COLUMNS, SCHEMA, ImageRecord, ImageShard
from .room_sink import RoomSink
from .sealed_arrow import SealedFile, SealedWriter
from .sealed_json import check_format, parse_object, take, take_digest

_META_KEY = b"hapistore.images"
# About what one Arrow Flight message or one range request carries well.
BLOCK_BYTES = 4 << 20
# More than a row takes beside its image, a block's message and index entry, and all the rest.
ROW_BYTES = 128
_BLOCK_OVERHEAD_BYTES, _FILE_OVERHEAD_BYTES = 4096, 64 << 10

# Stands in the schema for what is known only when all rows are.
_BLANK_META = "?" * 128


class ImageShardWriter:
    """Builds an image shard in memory, block by block; of a block that is written no record is needed any more.

    Args:
        room: uint8, ``room_bytes`` of it: memory for the file, which stays in it.
    """

    def __init__(self, room: np.ndarray) -> None:
        self._schema = SCHEMA.with_metadata({_META_KEY: _BLANK_META})
        self._sink = RoomSink(room)
        self._file = SealedWriter(self._schema, file=self._sink)
        self._stand_in = np.empty(0, np.uint8)
        self._digests: list[bytes] = []

    def write(self, block: Sequence[ImageRecord]) -> None:
        """Add some rows, such as ``cut_blocks`` yields."""
        images, values = self._image_column([len(record.image) for record in block])
        columns = [pa.array([getattr(r, f.name) for r in block], type=f.type) for f in COLUMNS]
        batch = pa.record_batch([images, *columns], schema=self._schema)
        with self._sink.replacing(values, [record.image for record in block]):
            self._file.write(batch)
        self._digests += [record.digest for record in block]

    def _image_column(self, sizes: Sequence[int]) -> tuple[pa.Array, pa.Buffer]:
        """A binary column of values of these sizes; and the buffer where it believes they lie, which nobody touches."""
        offsets = np.zeros(len(sizes) + 1, np.int32)
        np.cumsum(sizes, out=offsets[1:])
        if offsets[-1] > len(self._stand_in):
            self._stand_in = np.empty(max(offsets[-1], BLOCK_BYTES), np.uint8)
        values = pa.py_buffer(self._stand_in[: offsets[-1]])
        return pa.Array.from_buffers(pa.binary(), len(sizes), [None, pa.py_buffer(offsets), values]), values

    def finish(self) -> tuple[str, memoryview]:
        """The shard digest and the file's bytes."""
        if not self._digests:
            raise ValueError("an image shard has at least one row")
        digest = shard_digest(self._digests)
        meta = {"digest": digest, "format": 1, "rows": len(self._digests)}
        text = json.dumps(meta, separators=(",", ":")).ljust(len(_BLANK_META))
        return digest, self._file.finish(late={_BLANK_META.encode(): text.encode()})


def write_image_shard(records: Sequence[ImageRecord]) -> tuple[str, memoryview]:
    """Serialise records in order.

    Returns:
        The shard digest and the file's bytes.
    """
    size = sum(len(record.image) + ROW_BYTES for record in records)
    writer = ImageShardWriter(np.empty(room_bytes(size), np.uint8))
    for block in cut_blocks(records):
        writer.write(block)
    return writer.finish()


def room_bytes(size: int) -> int:
    """Memory that a shard's file needs at most, where its images and ``ROW_BYTES`` for each make ``size`` bytes."""
    blocks = 2 * size // BLOCK_BYTES + 1  # of any two neighbours, the images exceed a block
    return size + blocks * _BLOCK_OVERHEAD_BYTES + _FILE_OVERHEAD_BYTES


def cut_blocks(records: Iterable[ImageRecord]) -> Iterator[list[ImageRecord]]:
    """Blocks of records; each ends before its images exceed ``BLOCK_BYTES``, and has one at least."""
    block: list[ImageRecord] = []
    size = 0
    for record in records:
        if block and size + len(record.image) > BLOCK_BYTES:
            yield block
            block, size = [], 0
        block.append(record)
        size += len(record.image)
    if block:
        yield block


class ImageShardReader(ImageShard):
    """The images of one shard, without copies.

    Args:
        data: the file's bytes (a memory map serves well); referenced, not copied.

    Raises:
        DamagedError: a checksum does not match.
        FormatError: ``bad-images``.
    """

    def __init__(self, data: bytes | memoryview | pa.Buffer, *, where: str) -> None:
        self.where = where
        sealed = SealedFile(data, where=where)
        meta = parse_object((sealed.schema.metadata or {}).get(_META_KEY, b""), "bad-images", where=where)
        check_format(meta, 1, where=where)
        if not sealed.schema.remove_metadata().equals(SCHEMA):
            raise FormatError("bad-images", f"its columns are {sealed.schema.names!r:.200}", where=where)
        self._blocks = [sealed.block(i) for i in range(sealed.num_blocks)]
        if any(not block.num_rows or any(column.null_count for column in block.columns) for block in self._blocks):
            raise FormatError("bad-images", "a block has no rows, or rows without a value", where=where)
        self._images = [_binary_views(block.column(0)) for block in self._blocks]
        self._ends = list(np.cumsum([block.num_rows for block in self._blocks]).tolist())
        self.digest = take_digest(meta, "digest", where=where)
        if take(meta, "rows", int, where=where) != len(self):
            raise FormatError(
                "bad-images", f"it has {len(self)} rows, not the {meta['rows']!r:.80} it claims", where=where
            )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def image(self, row: int) -> memoryview:
        """Encoded bytes of ``row``: a view into the shard, which it keeps."""
        block, offset = self._locate(row)
        view, offsets = self._images[block]
        return view[offsets[offset] : offsets[offset + 1]]

    def column(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array([block.column(name) for block in self._blocks])

    def _locate(self, row: int) -> tuple[int, int]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        block = bisect.bisect_right(self._ends, row)
        return block, row - (self._ends[block - 1] if block else 0)


def _binary_views(column: pa.Array) -> tuple[memoryview, list[int]]:
    """Data buffer and offsets of a binary column: slicing them costs a hundredth of ``as_py``."""
    _, offsets, data = column.buffers()
    # Arrow's bytes are signed ones, which decoders refuse and header readers misread.
    view = memoryview(data).cast("B") if data is not None else memoryview(b"")
    ends = np.frombuffer(offsets, dtype=np.int32, count=len(column) + 1, offset=column.offset * 4)
    return view, ends.tolist()
