"""Feature shards: the features of one image shard, same rows, same order."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from .codecs.axes import ChannelAxes
from .codecs.codec import Codec, get_codec
from .codecs.compressors import COMPRESSORS
from .codecs.quantisers import Params
from .digests import is_digest
from .errors import FormatError
from .missing_rows import REQUIRED, MissingRow, missing_json, parse_missing
from .sealed_arrow import SealedFile, SealedWriter, read_head
from .sealed_json import check_format, is_shape, parse_object, take

_META_KEY = b"hapistore.features"
_PARAMS_KEY = "hapistore.params"
_PROVENANCE_KEY = "hapistore.provenance"
# A block decodes on its own: large enough for a compressor to learn, small enough to decode for a few rows.
_BLOCK_ROWS = 1024
_BLOCK_BYTES = 2 << 20
# A reader allocates what a header claims; a shard decoded may not be larger than this.
MAX_DECODED_BYTES = 64 << 30


@dataclass(frozen=True, kw_only=True)
class FeatureHeader:
    """What a feature shard says of itself.

    Attributes:
        recipe: recipe digest; ``images``: digest of the image shard; ``codec``: spec string.
        rows: how many; ``shape``: of one row.
        missing: rows without features, ascending.
    """

    recipe: str
    images: str
    codec: str
    rows: int
    shape: tuple[int, ...]
    missing: tuple[MissingRow, ...] = ()

    def to_json(self) -> str:
        value: dict[str, Any] = {"format": 1, **vars(self)}
        del value["missing"]
        value |= missing_json(self.missing)
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: bytes, *, where: str) -> FeatureHeader:
        """Read and check a header, before anything is allocated for it.

        Raises:
            FormatError: ``bad-features``, ``bad-field``, ``too-large`` or ``unsupported-version``.
        """
        value = parse_object(text, "bad-features", where=where)
        check_format(value, 1, where=where, known=(REQUIRED,))
        shape = take(value, "shape", list, where=where)
        if not is_shape(shape):
            raise FormatError("bad-field", f"its shape is {shape!r:.80}", where=where)
        header = cls(
            recipe=take(value, "recipe", str, where=where),
            images=take(value, "images", str, where=where),
            codec=take(value, "codec", str, where=where),
            rows=take(value, "rows", int, where=where),
            shape=tuple(shape),
            missing=parse_missing(value, where=where),
        )
        if header.rows < 1 or not (is_digest(header.recipe) and is_digest(header.images)):
            raise FormatError("bad-field", "its rows, recipe or image shard are impossible", where=where)
        last = header.missing[-1].row if header.missing else 0
        if last >= header.rows:
            raise FormatError("bad-field", f"row {last!r:.80} is missing, of {header.rows!r:.80}", where=where)
        if header.rows * math.prod(shape) * 4 > MAX_DECODED_BYTES:
            raise FormatError(
                "too-large", f"{header.rows!r:.80} rows of {shape} exceed {MAX_DECODED_BYTES} B", where=where
            )
        return header


def write_feature_shard(
    features: np.ndarray,
    *,
    codec: str,
    recipe: str,
    images: str,
    provenance: dict[str, Any],
    missing: Sequence[MissingRow] = (),
) -> memoryview:
    """Encode and serialise a shard's features.

    Args:
        features: float32 [rows, *shape].
        provenance: executor, device, versions; for people.
        missing: rows without features; what ``features`` holds there is not stored.

    Raises:
        FormatError: ``not-finite`` or ``out-of-range``, naming the row, where the codec cannot store a value.
    """
    header = FeatureHeader(
        recipe=recipe,
        images=images,
        codec=codec,
        rows=len(features),
        shape=tuple(features.shape[1:]),
        missing=tuple(sorted(missing)),
    )
    method = get_codec(codec)
    features, params = _fit(features, header, method)
    schema = _schema(header, method)
    writer = SealedWriter(schema)
    for start, stop in _block_spans(header, method):
        block = method.encode(features[start:stop], params)
        writer.write(_record_batch(block, stop - start, schema))
    packed = np.frombuffer(method.quantiser.pack(params), np.uint8)
    extra = {
        _PARAMS_KEY: base64.b64encode(COMPRESSORS["zstd"].compress(packed, 1)).decode("ascii"),
        _PROVENANCE_KEY: json.dumps(provenance, sort_keys=True, separators=(",", ":")),
    }
    return writer.finish(extra)


def write_decoded_shard(shard: FeatureShardReader) -> memoryview:
    """The same shard without its compressor: every stored value, parameter, missing row and note as it was.

    All rows are one block, so that ``stored()`` of the result is a view of its bytes and no copy: in a file that is
    mapped into memory, rows are read in place. Only codes of four bits are unpacked, which are two a byte in a file.

    Raises:
        FormatError: as ``stored``.
    """
    header = replace(shard.header, codec=shard.codec.quantiser.name)
    method = get_codec(header.codec)
    schema = _schema(header, method)
    writer = SealedWriter(schema)
    writer.write(_record_batch(method.pack_rows(shard.stored()), header.rows, schema))
    return writer.finish(shard.notes)


def _fit(features: np.ndarray, header: FeatureHeader, method: Codec) -> tuple[np.ndarray, Params]:
    """The features with missing rows as what is stored as 0, and parameters in which these have no part."""
    axes = ChannelAxes.of(header.shape)
    gone = np.array([row for row, _ in header.missing], np.int64)
    if not len(gone):
        return features, method.quantiser.fit(features, axes)
    kept = np.setdiff1d(np.arange(header.rows), gone)
    if len(kept):  # the one before stands in for a row that is missing, so that an error names the right row
        stand_in = np.searchsorted(kept, np.arange(header.rows), side="right") - 1
        filled = features[kept[np.maximum(stand_in, 0)]]
    else:
        filled = np.zeros_like(features)
    params = method.quantiser.fit(filled, axes)
    zero = np.empty((1, *header.shape), np.float32)
    method.quantiser.gather(np.zeros(zero.shape, method.quantiser.dtype), np.zeros(1, np.int64), axes, params, zero)
    filled[gone] = zero
    return filled, params


def _schema(header: FeatureHeader, method: Codec) -> pa.Schema:
    if method.compressor is None:
        tensor = pa.fixed_shape_tensor(
            pa.from_numpy_dtype(method.quantiser.dtype), list(method.raw_shape(header.shape))
        )
        fields = [pa.field("features", tensor, nullable=False)]
    else:
        fields = [pa.field("rows", pa.int32(), nullable=False), pa.field("block", pa.binary(), nullable=False)]
    return pa.schema(fields, metadata={_META_KEY: header.to_json()})


def _block_spans(header: FeatureHeader, method: Codec) -> Iterator[tuple[int, int]]:
    row_bytes = math.prod(header.shape) * method.quantiser.dtype.itemsize
    step = max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // row_bytes))
    for start in range(0, header.rows, step):
        yield start, min(start + step, header.rows)


def _record_batch(block: bytes | np.ndarray, rows: int, schema: pa.Schema) -> pa.RecordBatch:
    if isinstance(block, bytes):
        return pa.record_batch([pa.array([rows], pa.int32()), pa.array([block], pa.binary())], schema=schema)
    storage = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), block[0].size)
    return pa.record_batch([pa.ExtensionArray.from_storage(schema.field(0).type, storage)], schema=schema)


def read_feature_header(data: memoryview, *, where: str) -> FeatureHeader:
    """The header from the beginning of a feature shard, which is not checked against a checksum.

    Whoever opens the whole file later compares it with the header found then.

    Raises:
        FormatError: it holds no such header.
    """
    schema = read_head(data, where=where)
    return FeatureHeader.parse((schema.metadata or {}).get(_META_KEY, b""), where=where)


class FeatureShardReader:
    """One feature shard, every byte of it checked on opening.

    Args:
        data: the file's bytes; referenced, not copied.

    Raises:
        DamagedError: a checksum does not match.
        FormatError: it is no feature shard that this version reads.
    """

    def __init__(self, data: bytes | memoryview | pa.Buffer, *, where: str) -> None:
        self.where = where
        self._sealed = SealedFile(data, where=where)
        self.header = FeatureHeader.parse((self._sealed.schema.metadata or {}).get(_META_KEY, b""), where=where)
        self.codec = get_codec(self.header.codec, where=where)
        self._axes = ChannelAxes.of(self.header.shape)
        if not self._has_columns():
            raise FormatError("bad-features", "its columns are not those of its codec", where=where)
        self.params = self._read_params()
        provenance = self._sealed.extra.get(_PROVENANCE_KEY, "{}").encode("utf-8")
        self.provenance = parse_object(provenance, "bad-features", where=where)

    def __len__(self) -> int:
        return self.header.rows

    @property
    def notes(self) -> dict[str, str]:
        """Parameters and provenance as the file has them."""
        return {key: self._sealed.extra[key] for key in (_PARAMS_KEY, _PROVENANCE_KEY) if key in self._sealed.extra}

    @property
    def missing(self) -> tuple[MissingRow, ...]:
        """Rows without features, ascending; what the methods below give for them means nothing."""
        return self.header.missing

    def stored(self, out: np.ndarray | None = None) -> np.ndarray:
        """All rows as stored: [rows, *shape] in the quantiser's dtype, decompressed but not dequantised.

        Args:
            out: where to put them if they are not in the file as they are, C-contiguous.

        Raises:
            FormatError: ``bad-block``, ``bad-features`` or ``too-large``.
        """
        batches = [self._sealed.block(i) for i in range(self._sealed.num_blocks)]
        counts = [self._block_rows(batch) for batch in batches]
        if sum(counts) != self.header.rows:
            raise FormatError("bad-features", "its blocks do not add up to its rows", where=self.where)
        blocks = [self._raw_block(batch) for batch in batches]
        for block, rows in zip(blocks, counts, strict=True):
            if isinstance(block, memoryview):
                self.codec.check(block, rows, self.header.shape, where=self.where)
        shape = (self.header.rows, *self.header.shape)
        if len(blocks) == 1 and isinstance(blocks[0], np.ndarray):
            return self.codec.view(blocks[0], shape)
        if out is None:
            out = self._allocate(shape)
        first = 0
        for block, rows in zip(blocks, counts, strict=True):
            self.codec.decode(block, out[first : first + rows], where=self.where)
            first += rows
        return out

    def gather(self, stored: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        """Rows of what ``stored`` returned, as float32, into ``out`` [k, *shape]. ``rows`` is int64 [k]."""
        self.codec.quantiser.gather(stored, rows, self._axes, self.params, out)

    def features(self, out: np.ndarray | None = None) -> np.ndarray:
        """All rows as float32 [rows, *shape], in ``out`` where it is given; else perhaps the file's own, read-only.

        Raises:
            FormatError: as ``stored``.
        """
        # Stored values first: they show whether there are as many rows as the header claims.
        stored = self.stored(out if self.codec.quantiser.dtype == np.float32 else None)
        if stored is out or (out is None and stored.dtype == np.float32):
            return stored
        out = np.empty(stored.shape, np.float32) if out is None else out
        self.gather(stored, np.arange(self.header.rows), out)
        return out

    def _allocate(self, shape: tuple[int, ...]) -> np.ndarray:
        try:
            return np.empty(shape, self.codec.quantiser.dtype)
        except MemoryError as error:
            raise FormatError("too-large", f"its rows {shape} exceed the memory", where=self.where) from error

    def _has_columns(self) -> bool:
        try:
            expected = _schema(self.header, self.codec)
        except pa.ArrowInvalid:  # a row of more values than Arrow's tensors can have
            return False
        return bool(self._sealed.schema.remove_metadata().equals(expected.remove_metadata()))

    def _block_rows(self, batch: pa.RecordBatch) -> int:
        if any(column.null_count for column in batch.columns):
            raise FormatError("bad-block", "a block has rows without a value", where=self.where)
        compressed = self.codec.compressor is not None
        if compressed and batch.num_rows != 1:
            raise FormatError("bad-block", f"a block has {batch.num_rows} rows of blocks, expected 1", where=self.where)
        rows = int(batch.column(0)[0].as_py()) if compressed else int(batch.num_rows)
        if rows < 1:
            raise FormatError("bad-block", f"a block has {rows} rows, expected at least 1", where=self.where)
        return rows

    def _raw_block(self, batch: pa.RecordBatch) -> memoryview | np.ndarray:
        if self.codec.compressor is not None:
            return memoryview(batch.column(1)[0].as_buffer())
        values = batch.column(0).storage.flatten()
        if values.null_count:
            raise FormatError("bad-block", "a block has rows that lack a value", where=self.where)
        return np.asarray(values.to_numpy(zero_copy_only=True))

    def _read_params(self) -> Params:
        size = self.codec.quantiser.packed_bytes(self._axes)
        try:
            packed = base64.b64decode(self._sealed.extra.get(_PARAMS_KEY, ""), validate=True)
            data = COMPRESSORS["zstd"].decompress(memoryview(packed), size, where=self.where)
        except (ValueError, FormatError) as error:
            raise FormatError("bad-params", f"its parameters cannot be unpacked: {error}", where=self.where) from error
        return self.codec.quantiser.unpack(data, self._axes, where=self.where)
