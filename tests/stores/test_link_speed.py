"""Measuring the link to a store."""

from __future__ import annotations

import pytest

from hapistore.errors import NotFound, UsageError
from hapistore.stores import MemoryStore, measure_link
from hapistore.stores.wrappers import LinkStore


def filled(objects: int = 3, size: int = 300_000) -> MemoryStore:
    store = MemoryStore()
    for number in range(objects):
        store.create(f"images/{number}", bytes(size))
    return store


def test_no_more_is_found_than_the_link_gives():
    store = LinkStore(filled(), latency_s=0.01, bytes_s=20e6)
    found = measure_link(store, [info.name for info in filled().list()])
    assert found.low_bytes_per_s <= found.bytes_per_s <= 20e6 * 1.01
    assert found.bytes_per_s > 1e6, "a busy machine may be slow, but not so slow"
    assert found.delay_s >= 0.01


def test_a_faster_link_is_found_faster():
    names = [info.name for info in filled().list()]
    slow, fast = (measure_link(LinkStore(filled(), bytes_s=rate), names) for rate in (2e6, 40e6))
    assert fast.bytes_per_s > slow.bytes_per_s


@pytest.mark.parametrize("names", [[], ["empty"]])
def test_nothing_to_read_is_said(names):
    store = MemoryStore()
    store.create("empty", b"")
    with pytest.raises(UsageError, match="say how fast it is"):
        measure_link(store, names)


def test_an_object_that_is_gone_is_named():
    with pytest.raises(NotFound, match="gone"):
        measure_link(filled(), ["gone"])
