"""Decoded pixels of a dataset's image shards, row by row, ahead of the network."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hapistore_format import Augmentation, ImageShard, ShardRef

from ..catalog import open_image_shard
from ..errors import ImageError
from ..images import Change, ChangeOf, Preprocess
from ..stores import ObjectStore
from ..threads import map_ahead
from .bad_images import BadImage
from .trace import Trace

# Enough for the largest extraction batch while the one before it runs.
_AHEAD_BYTES = 256 << 20


class ShardPixels(NamedTuple):
    """What is wanted of one image shard: variants of every image, None for the image as it is."""

    shard: ShardRef
    variants: tuple[Augmentation | None, ...] = (None,)


class _Row(NamedTuple):
    shard: ImageShard
    row: int
    digest: bytes
    variants: tuple[Augmentation | None, ...]


def decode_shards(
    store: ObjectStore, wanted: Sequence[ShardPixels], preprocess: Preprocess, *, threads: int, trace: Trace
) -> Generator[np.ndarray | BadImage, None, None]:
    """Pixels of every row of every shard, in order: uint8 [height, width, 3] each, or why there are none.

    All variants of a row follow each other; its image is decoded once.
    """

    def fetch(shard: ShardRef) -> ImageShard:
        with trace.span("fetch", shard=shard.images[:12]):
            return open_image_shard(store, shard)

    def rows() -> Iterator[_Row]:
        shards = [shard for shard, _ in wanted]
        readers = map_ahead(fetch, shards, threads=1, ahead=1, name="hapistore-fetch")
        for reader, (_, variants) in zip(readers, wanted, strict=True):
            yield from (_Row(reader, row, digest, variants) for row, digest in enumerate(reader.record_digests()))

    def decode(item: _Row) -> Sequence[np.ndarray | BadImage]:
        changes = [change_of(variant, item.digest) for variant in item.variants]
        try:
            with trace.span("decode"):
                return preprocess.variants(item.shard.image(item.row), changes)
        except ImageError as error:
            return [BadImage(error.reason, error.detail)] * len(changes)

    most = max((len(variants) for _, variants in wanted), default=1)
    row_bytes = most * int(np.prod(preprocess.pixel_shape))
    ahead = max(threads, min(1024, _AHEAD_BYTES // row_bytes))
    decoded = map_ahead(decode, rows(), threads=threads, ahead=ahead, name="hapistore-decode")
    return _flatten(decoded)


def _flatten(
    decoded: Iterator[Sequence[np.ndarray | BadImage]],
) -> Generator[np.ndarray | BadImage, None, None]:
    for variants in decoded:
        yield from variants


def change_of(variant: Augmentation | None, digest: bytes) -> ChangeOf | None:
    """What `Preprocess.variants` is told of a variant of an image; None: the image as it is.

    Args:
        digest: the record's.
    """
    if variant is None:
        return None
    return lambda width, height: Change(*variant.draw(digest, width, height))
