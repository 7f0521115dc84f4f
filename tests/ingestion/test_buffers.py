"""Memory is handed out again when nothing refers to it, and never before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hapistore.catalog import open_image_shard, verify_store
from hapistore.ingestion import IngestOptions, image_folder, ingest
from hapistore.ingestion.buffers import BUFFER_BYTES, Buffers, Pool

VIEWS: dict[str, Callable[[np.ndarray], Any]] = {
    "itself": lambda array: array,
    "a slice": lambda array: array[5:9],
    "a slice of a slice": lambda array: array[5:900][7:8],
    "a memoryview": memoryview,
    "part of a memoryview": lambda array: memoryview(array)[5:9],
    "a memoryview of a slice": lambda array: memoryview(array[5:9]).toreadonly(),
    "part of a memoryview of a slice": lambda array: memoryview(array[5:90])[3:4],
    "an array of a memoryview": lambda array: np.frombuffer(memoryview(array)[5:9], np.uint8),
    "an Arrow buffer": pa.py_buffer,
    "an Arrow array": lambda array: pa.Array.from_buffers(pa.uint8(), 4, [None, pa.py_buffer(array[8:12])]),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_what_is_referred_to_is_not_handed_out(kind):
    pool = Pool()
    view = VIEWS[kind](pool.take(1000))
    place = pool.take(1000).ctypes.data
    for _ in range(3):
        assert pool.take(1000).ctypes.data == place  # another, used again and again
    first = {array.ctypes.data for array in pool._all} - {place}
    assert len(first) == 1
    del view
    held = [pool.take(1000) for _ in range(2)]
    assert {array.ctypes.data for array in held} == first | {place}
    assert len(pool._all) == 2


def test_rooms_of_a_buffer_keep_it():
    buffers = Buffers()
    kept = []
    for number in range(40):
        room = buffers.room()
        if len(room) < BUFFER_BYTES // 8:
            room = buffers.fresh_room()
        room[: BUFFER_BYTES // 8] = number
        kept.append(memoryview(room)[: BUFFER_BYTES // 8])
        buffers.use(BUFFER_BYTES // 8)
    assert [set(bytes(view)) for view in kept] == [{number} for number in range(40)]


def test_many_photographs_arrive_as_they_are(photographs, store):
    folder = photographs[0].parent
    result = ingest(store, "d", image_folder(folder), IngestOptions(shard_bytes=8 << 20, threads=3))
    assert result.images == len(photographs) > 2000 and not result.quarantined
    expected = iter(sorted(photographs, key=lambda path: path.name))
    for shard in result.version.shards:
        images = open_image_shard(store, shard)
        images.check_digests()
        for row in range(len(images)):
            assert bytes(images.image(row)) == next(expected).read_bytes()
    assert verify_store(store).damaged == []
