"""What is fuzzed: a function for every kind of input. Only FormatError may leave a reader; what it reads must hold.

Each takes any bytes and builds a rightly sealed file around them. ``run`` picks one by the first byte.
"""

from __future__ import annotations

import math
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import feature_targets
import hostile
import pyarrow as pa
from hostile import WHERE

from hapistore.catalog.names import quarantine_name
from hapistore.errors import ImageError
from hapistore.images import check_image, read_header
from hapistore.ingestion.quarantine import load_quarantine
from hapistore.stores import MemoryStore
from hapistore_format import (
    AnnotationShard,
    DatasetVersion,
    Expiry,
    FileSeal,
    FormatError,
    ImageShard,
    ImageShardReader,
    LmdbImageShard,
    Recipe,
    file_digest,
    read_sealed_json,
    read_weights,
)
from hapistore_format.sealed_arrow import SealedFile
from hapistore_format.sealed_json import check_format

ENOUGH = 64 << 20
"""More than any input of a fuzzer needs: it is a few KB, and so is what it may make a reader allocate."""
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def marker(text: bytes) -> None:
    value = read_sealed_json(hostile.sealed_text(text), where=WHERE)
    check_format(value, 1, where=WHERE)
    assert "sha256" not in value


def version(text: bytes) -> None:
    read = DatasetVersion.parse(hostile.sealed_text(text), where=WHERE)
    assert DatasetVersion.parse(read.serialise(), where=WHERE) == read
    assert read.rows >= len(read.shards) <= read.size_bytes
    assert read.label.isprintable() and read.created.isprintable()  # both are shown


def expiry(text: bytes) -> None:
    read = Expiry.parse(hostile.sealed_text(text), where=WHERE)
    assert Expiry.parse(read.serialise(), where=WHERE) == read
    assert read.expired.isprintable()  # it is shown


def recipe(text: bytes) -> None:
    read = Recipe.parse(hostile.sealed_text(text), where=WHERE)
    again = Recipe.parse(read.serialise(), where=WHERE)
    assert again == read and again.digest == read.digest
    read.check_name(again.digest, where=WHERE)


def quarantine(text: bytes) -> None:
    report, digest = hostile.sealed_text(text), "ab" * 32
    store = MemoryStore()
    store.create(quarantine_name("pets", digest), report)
    version = DatasetVersion(dataset="pets", number=1, created="", shards=(), quarantined=1, quarantine=digest)
    for image in load_quarantine(store, version):
        assert all(isinstance(value, str) for value in (image.key, image.reason, image.detail))


def file_seal(text: bytes) -> None:
    read = FileSeal.parse(hostile.sealed_text(text), where=WHERE)
    assert FileSeal.parse(read.serialise(), where=WHERE) == read
    read.check(memoryview(bytes(min(read.file_bytes, 5000))), where=WHERE)


def sealed_arrow(data: bytes) -> None:
    file = SealedFile(hostile.resealed(data), where=WHERE)
    for number in range(file.num_blocks):
        assert file.block(number).schema.equals(file.schema)


def annotations(data: bytes) -> None:
    shard = AnnotationShard(hostile.resealed(data), where=WHERE)
    keys = shard.table["key"].to_pylist()
    assert len(keys) == shard.rows >= shard.live_rows and all(isinstance(key, str) for key in keys)
    assert len(shard.columns()) == shard.table.num_columns


def images(data: bytes) -> None:
    _read_images(ImageShardReader(hostile.resealed(data), where=WHERE))


def lmdb_pages(patches: bytes) -> None:
    data = hostile.patched_pages(patches)
    _read_images(LmdbImageShard(data, FileSeal.of(memoryview(data), images=hostile.IMAGES), where=WHERE))


def _read_images(shard: ImageShard) -> None:
    records = list(shard.records())
    assert len(records) == len(shard) > 0
    assert [record.image for record in records] == [bytes(shard.image(row)) for row in range(len(shard))]
    shard.check_digests()


def weights(data: bytes) -> None:
    """The whole file; or, where the first byte is even, its header, and behind an empty line the tensors' bytes."""
    whole, rest = feature_targets.pick((False, True), data)
    header, _, body = rest.partition(b"\n\n")
    file = rest if whole else struct.pack("<Q", len(header)) + header + body
    for tensor in read_weights(file, file_digest(file), where=WHERE).values():
        assert all(type(side) is int and side >= 0 for side in tensor.shape)
        assert len(tensor.data) == math.prod(tensor.shape) * _BYTES[tensor.dtype]


def encoded_image(data: bytes) -> None:
    """An image that is too large is refused before it is decoded, and one that is accepted can be decoded."""
    try:
        header = read_header(data)
        if header.width * header.height < 1 << 18:
            assert check_image(data) == header
    except ImageError as error:
        raise FormatError(error.reason, error.detail, where=WHERE) from error


_ORDER = (
    marker, version, recipe, quarantine, file_seal, weights, sealed_arrow, annotations, images, lmdb_pages,
    feature_targets.features, feature_targets.feature_header, feature_targets.feature_notes,
    feature_targets.feature_blocks, feature_targets.plain_blocks, feature_targets.block, encoded_image, expiry,
)  # fmt: skip
TARGETS: dict[str, tuple[int, Callable[[bytes], None]]] = {
    target.__name__: (first_byte, target) for first_byte, target in enumerate(_ORDER)
}
"""Target and its first byte, by name. Only ever add at the end, or the corpus loses its meaning."""


def run(data: bytes) -> str | None:
    """One input through the target that its first byte picks.

    Returns:
        The code it was refused with, None where it was read.

    Raises:
        Exception: anything that is a fault of the reader.
    """
    target, rest = feature_targets.pick(_ORDER, data)
    with bounded_memory():
        try:
            target(rest)
            return None
        except FormatError as error:
            _check_text(error)
            return error.code


def _check_text(error: FormatError) -> None:
    assert error.where, f"no name in {error}"
    assert str(error).isprintable() and len(str(error)) < 1000, f"not a line: {error!r}"


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fails where Python, numpy or Arrow take more than inputs of a few KB can need."""
    pool = pa.default_memory_pool()
    held, before = pool.bytes_allocated(), pool.max_memory()
    begun = not tracemalloc.is_tracing()  # every start leaks a little: the fuzzer does it once
    if begun:
        tracemalloc.start()
    tracemalloc.reset_peak()
    traced = tracemalloc.get_traced_memory()[0]
    try:
        yield
        taken = tracemalloc.get_traced_memory()[1] - traced
    finally:
        if begun:
            tracemalloc.stop()
    assert taken < ENOUGH, f"{taken} bytes were allocated"
    peak = pool.max_memory()  # of the process: it says something only where it has grown
    assert peak == before or peak - held < ENOUGH, f"Arrow allocated {peak - held} bytes"
