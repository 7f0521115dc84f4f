"""Decoded pixels of a dataset's image shards, row by row, ahead of the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hapistore_format import ImageShard, ShardRef

from ..catalog import open_image_shard
from ..errors import ImageError
from ..images import Preprocess
from ..stores import ObjectStore
from ..threads import map_ahead
from .bad_images import BadImage
from .trace import Trace

# Enough for the largest extraction batch while the one before it runs.
_AHEAD_BYTES = 256 << 20


class _Row(NamedTuple):
    shard: ImageShard
    row: int


def decode_shards(
    store: ObjectStore, shards: Sequence[ShardRef], preprocess: Preprocess, *, threads: int, trace: Trace
) -> Iterator[np.ndarray | BadImage]:
    """Pixels of every row of every shard, in order: uint8 [height, width, 3] each, or why there are none."""

    def fetch(shard: ShardRef) -> ImageShard:
        with trace.span("fetch", shard=shard.images[:12]):
            return open_image_shard(store, shard)

    def rows() -> Iterator[_Row]:
        for reader in map_ahead(fetch, shards, threads=1, ahead=1, name="hapistore-fetch"):
            yield from (_Row(reader, row) for row in range(len(reader)))

    def decode(item: _Row) -> np.ndarray | BadImage:
        try:
            with trace.span("decode"):
                return preprocess(item.shard.image(item.row))
        except ImageError as error:
            return BadImage(error.reason, error.detail)

    ahead = max(threads, min(1024, _AHEAD_BYTES // int(np.prod(preprocess.pixel_shape))))
    return map_ahead(decode, rows(), threads=threads, ahead=ahead, name="hapistore-decode")
