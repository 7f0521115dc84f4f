"""Records are laid into their shard while it fills; a shard is stored whole or not at all."""

from __future__ import annotations

import weakref

import numpy as np
import pyarrow as pa
import pytest

from hapistore.catalog.images import store_image_shard
from hapistore.errors import HapistoreError
from hapistore.ingestion.streaming import ShardStream
from hapistore.stores import MemoryStore
from hapistore_format import LAYOUTS, ImageRecord, record_digest

MIB = 1 << 20


def record(size: int, number: int = 0, *, width: int = 1) -> ImageRecord:
    image = np.random.default_rng(number).integers(0, 256, size, np.uint8)
    view = memoryview(image)
    return ImageRecord(image=view, width=width, height=2, orientation=1, format="JPEG", digest=record_digest(view))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_shard_that_grew_is_the_shard_that_is_made_at_once(layout):
    records = [record(size, n) for n, size in enumerate([10, 0, 5 * MIB, 3 * MIB, MIB, 2 * MIB, 7])]
    grown, whole = MemoryStore(), MemoryStore()
    with ShardStream(grown, shard_bytes=64 * MIB, layout=layout) as stream:
        assert [stream.add(one) for one in records] == [(0, row) for row in range(len(records))]
        (stored,) = stream.finish()
    assert stored == store_image_shard(whole, records, layout)
    names = [info.name for info in whole.list()]
    assert [info.name for info in grown.list()] == names
    assert all(bytes(grown.get(name)) == bytes(whole.get(name)) for name in names)


def test_images_are_let_go_while_their_shard_fills():
    alive: list[weakref.ref] = []
    most = 0
    with ShardStream(MemoryStore(), shard_bytes=64 * MIB, layout="arrow") as stream:
        for number in range(48):
            one = record(MIB, number)
            alive.append(weakref.ref(one.image.obj))
            stream.add(one)
            del one
            most = max(most, sum(reference() is not None for reference in alive))
        (stored,) = stream.finish()
    assert stored.bytes > 48 * MIB
    assert most <= 24  # MiB, of 48: a block that fills, one that is laid, those between


@pytest.mark.parametrize("bad", range(3))
def test_no_shard_lacks_a_block_that_could_not_be_laid(bad):
    store = MemoryStore()
    with ShardStream(store, shard_bytes=64 * MIB, layout="arrow") as stream:
        for number in range(3):
            stream.add(record(3 * MIB, number, width="wide" if number == bad else 1))  # type: ignore[arg-type]
        with pytest.raises(pa.ArrowException):
            stream.finish()
    assert list(store.list()) == []


def test_a_shard_of_one_block_takes_no_more_room_than_it_needs():
    with ShardStream(MemoryStore(), shard_bytes=1 << 50, layout="arrow") as stream:
        stream.add(record(100))
        (stored,) = stream.finish()
    assert stored.bytes < MIB


def test_shards_that_no_memory_holds_are_an_error_with_what_to_do():
    store = MemoryStore()
    with ShardStream(store, shard_bytes=1 << 50, layout="arrow") as stream:
        stream.add(record(3 * MIB))
        with pytest.raises(HapistoreError, match=r"TiB does not fit in memory; choose smaller shards"):
            stream.add(record(3 * MIB, 1))
    assert not list(store.list())
