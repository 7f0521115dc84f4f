"""Image shards of a store, in either layout: the one place that opens and stores them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from hapistore_format import (
    DamagedError,
    FileSeal,
    ImageRecord,
    ImageShard,
    ImageShardReader,
    LmdbImageShard,
    ShardRef,
)
from hapistore_format.image_shard_arrow import ROW_BYTES, cut_blocks

from ..errors import NotFound
from ..stores import ObjectStore, ensure, renew
from .image_writers import ShardFile, new_shard_writer
from .names import images_name, seal_name
from .reading import read_object


class StoredShard(NamedTuple):
    """An image shard that is in the store; whether this call wrote any of it."""

    digest: str
    bytes: int
    written: bool


def open_image_shard(store: ObjectStore, shard: ShardRef) -> ImageShard:
    """An image shard of a version, every byte of it checked.

    Raises:
        NotFound: it is gone, or the seal beside it.
        FormatError: it is not as it was written.
    """
    return open_images(store, shard.images, shard.layout)


def open_images(store: ObjectStore, digest: str, layout: str) -> ImageShard:
    """An image shard by its digest."""
    name = images_name(digest, layout)
    reader: ImageShard
    if layout == "lmdb":
        beside = seal_name(digest)
        seal = read_object(store, beside, FileSeal.parse)
        path = store.local_path(name)
        open_bytes = partial(LmdbImageShard, seal=seal)
        reader = open_bytes(path, where=name) if path else read_object(store, name, open_bytes)
    else:
        reader = read_object(store, name, ImageShardReader)
    if reader.digest != digest:
        raise DamagedError("bad-name", f"it holds image shard {reader.digest[:12]}", where=name)
    return reader


def check_image_bytes(store: ObjectStore, digest: str, layout: str, data: memoryview) -> None:
    """Check the bytes of an image shard's file that were read.

    Raises:
        FormatError: they are not as they were written.
    """
    name = images_name(digest, layout)
    if layout == "lmdb":
        read_object(store, seal_name(digest), FileSeal.parse).check(data, where=name)
        return
    reader = ImageShardReader(data, where=name)
    reader.check_digests()
    if reader.digest != digest:
        raise DamagedError("bad-name", f"it holds image shard {reader.digest[:12]}", where=name)


def store_image_shard(store: ObjectStore, records: Sequence[ImageRecord], layout: str) -> StoredShard:
    """Write records as an image shard, unless it is there."""
    writer = new_shard_writer(layout, sum(len(record.image) + ROW_BYTES for record in records))
    for block in cut_blocks(records):
        writer.write(block)
    return store_shard_file(store, writer.finish())


def store_shard_file(store: ObjectStore, file: ShardFile) -> StoredShard:
    """Write an image shard, unless it is there.

    The seal comes first: a file that is there is then never without it, whatever kills the writer.
    """
    name, size = images_name(file.digest, file.layout), len(file.data)
    if file.seal is None:
        return StoredShard(file.digest, size, ensure(store, name, file.data))
    beside = seal_name(file.digest)
    sealed = ensure(store, beside, file.seal)
    if not sealed and bytes(store.get(beside)) != file.seal:
        there = _size(store, name)
        if there is not None:
            for kept in (beside, name):
                renew(store, kept)
            return StoredShard(file.digest, there, False)
        # Of a file that is lost or was never finished, from a machine with pages of another size.
        store.put(beside, file.seal)
    return StoredShard(file.digest, size, ensure(store, name, file.data) or sealed)


def _size(store: ObjectStore, name: str) -> int | None:
    try:
        return store.head(name).bytes
    except NotFound:
        return None
