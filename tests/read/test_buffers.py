"""Memory of training batches is used again, and never while anybody can still see it."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from hapistore.read import FeatureReader, ReadOptions
from hapistore.read.buffers import Buffers

HOLDING = {
    "itself": lambda array: array,
    "a slice of a slice": lambda array: array[2:9][1:3],
    "one row": lambda array: array[3],
    "transposed": lambda array: array.T,
    "every second value": lambda array: array.reshape(-1)[::2],
    "another type": lambda array: array.view(np.int32)[1:],
    "a memoryview": memoryview,
    "an iterator": iter,
    "a list of rows": list,
}


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("hold", HOLDING.values(), ids=HOLDING)
def test_it_is_not_used_while_something_refers_to_it(hold):
    buffers = Buffers(4)
    array = buffers.array((10, 4), np.float32)
    first = address(array)
    held = hold(array)
    del array
    gc.collect()
    other = buffers.array((10, 4), np.float32)
    assert address(other) != first
    del held, other
    gc.collect()
    assert first in {address(array) for array in [buffers.array((10, 4), np.float32) for _ in range(3)]}


def test_it_is_used_again_at_once():
    buffers = Buffers(4)
    assert len({address(buffers.array((10, 4), np.float32)) for _ in range(50)}) == 1


def test_smaller_arrays_fit_into_larger_memory_and_not_the_other_way_round():
    buffers = Buffers(4)
    first = address(buffers.array((10, 4), np.float32))
    assert address(buffers.array((2, 4), np.float32)) == first
    array = buffers.array((11, 4), np.float32)
    array[:] = 1
    assert array.shape == (11, 4)
    assert buffers.array((0, 4), np.float32).shape == (0, 4)


def test_what_nobody_wants_is_given_back():
    buffers = Buffers(2)
    held = [buffers.array((1000,), np.uint8) for _ in range(20)]
    assert len(buffers._owners) == 20
    del held
    buffers.array((1000,), np.uint8)
    assert len(buffers._owners) <= 3


def test_threads_never_get_the_same():
    buffers, wrong = Buffers(8), []

    def work(number):
        for turn in range(300):
            array = buffers.array((64,), np.int64)
            array[:] = value = number * 1000 + turn
            for _ in range(20):
                if (array != value).any():
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_batches_that_are_kept_keep_their_values(view, expected_features):
    source = FeatureReader(view, ReadOptions(batch_size=2))
    held = [batch for epoch in range(20) for batch in source.epoch(epoch)]
    assert all(np.array_equal(batch.features, expected_features(batch.rows)) for batch in held)


def test_batches_that_are_not_kept_share_memory(view):
    source = FeatureReader(view, ReadOptions(batch_size=19, threads=1, ahead_bytes=0))
    seen = {address(batch.features) for epoch in range(30) for batch in source.epoch(epoch)}
    assert len(seen) < 5
