"""Image shards that were set aside come back from their source, bit for bit."""

from __future__ import annotations

import pytest

from hapistore.catalog import verify_store
from hapistore.catalog.names import images_name
from hapistore.errors import HapistoreError


@pytest.fixture
def source(tree, picture):
    return tree({f"{'ab'[n % 2]}/{n}.png": picture(n) for n in range(8)})


def lose(store, *shards) -> None:
    for shard in shards:
        store.delete(images_name(shard.images))


def test_lost_shards_come_back_as_they_were(source, take, store, objects):
    version = take(source, shard_bytes=500).version
    before = objects(store)
    assert len(version.shards) >= 4
    lose(store, version.shards[0], version.shards[2])
    result = take(source)  # whatever the shard size is now
    assert not result.committed and result.shards_written == 2
    assert objects(store) == before


def test_a_shard_comes_back_while_others_grow(source, take, store, tree, picture, read_back):
    version = take(source).version
    lose(store, *version.shards)
    tree({"a/0.png": picture(0), "c/new.png": picture(20)})
    result = take(source)
    assert result.version.number == 2 and result.shards_written == 2
    assert len(read_back(store, result.version)) == 9
    assert not verify_store(store).damaged


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_source_that_cannot_bring_it_back_says_so(source, take, store, tree, picture, change):
    version = take(source).version
    lose(store, *version.shards)
    if change == "gone":
        (source / "a/0.png").unlink()
    else:
        tree({"a/0.png": picture(99)})
    with pytest.raises(HapistoreError) as caught:
        take(source)
    assert images_name(version.shards[0].images) in str(caught.value)
    assert [damage.code for damage in verify_store(store).damaged] == ["missing"]


def test_a_damaged_shard_is_named_where_it_must_be_read(source, take, store, tree, picture):
    (shard,) = take(source).version.shards
    name = images_name(shard.images)
    data = bytearray(store.get(name))
    data[300] ^= 4
    store.put(name, bytes(data))
    tree({"a/0.png": picture(99)})
    with pytest.raises(HapistoreError, match=rf"{name}: .*\[bad-block\]"):
        take(source)
