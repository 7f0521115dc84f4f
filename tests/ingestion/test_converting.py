"""Converting changes the layout of image shards, and nothing that anyone has said or computed of them."""

from __future__ import annotations

import pytest

from hapistore.catalog import latest_version, verify_store
from hapistore.catalog.names import images_name
from hapistore.errors import FormatError, UsageError
from hapistore.ingestion import convert
from hapistore_format import LAYOUTS


@pytest.fixture
def source(tree, picture):
    return tree({f"{'ab'[n % 2]}/{n}.png": picture(n) for n in range(12)} | {"a/bad.png": b"x"})


def other(layout: str) -> str:
    return LAYOUTS[1 - LAYOUTS.index(layout)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_keeps_all_but_the_layout(source, take, store, read_back, layout):
    before = take(source, shard_bytes=600, layout=layout).version
    seen = []
    result = convert(store, "d", layout=other(layout), on_progress=lambda *done: seen.append(done))
    version = result.version
    assert (result.committed, version.label, result.images) == (True, "d@2", 12)
    assert result.converted == len(version.shards) > 3 and result.present == 0
    assert seen[-1] == (12, 12) and seen == sorted(seen)
    assert {shard.layout for shard in version.shards} == {other(layout)}
    for old, new in zip(before.shards, version.shards, strict=True):
        assert (old.images, old.annotations, old.rows) == (new.images, new.annotations, new.rows)
        assert new.bytes == store.head(images_name(new.images, new.layout)).bytes
    assert (version.quarantine, version.quarantined) == (before.quarantine, 1)
    assert read_back(store, version) == read_back(store, before)
    assert not verify_store(store).damaged


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_has_the_layout_gets_no_version(source, take, store, objects, layout):
    take(source, layout=layout)
    before = objects(store)
    result = convert(store, "d", layout=layout)
    assert (result.committed, result.converted, result.version.label) == (False, 0, "d@1")
    assert objects(store) == before


def test_there_and_back_writes_nothing_twice(source, take, store, objects):
    first = take(source, shard_bytes=600).version
    convert(store, "d", layout="lmdb")
    before = objects(store)
    back = convert(store, "d", layout="arrow")
    assert (back.converted, back.present) == (0, len(first.shards))
    assert back.version.label == "d@3" and back.version.shards == first.shards
    after = objects(store)
    assert {name: after[name] for name in before} == before and len(after) == len(before) + 1


def test_versions_mix_layouts(source, take, store, tree, picture, read_back):
    take(source)
    tree({"c/new.png": picture(20)})
    mixed = take(source, layout="lmdb").version
    assert [shard.layout for shard in mixed.shards] == ["arrow", "lmdb"]
    result = convert(store, "d", layout="lmdb")
    assert (result.converted, result.present) == (1, 1)
    assert read_back(store, result.version) == read_back(store, mixed)
    assert not take(source).committed  # whatever the layout of new shards is now
    assert not verify_store(store).damaged


def test_a_changed_image_is_replaced_in_a_converted_dataset(source, take, store, tree, picture, read_back):
    take(source)
    convert(store, "d", layout="lmdb")
    tree({"a/0.png": picture(99)})
    version = take(source).version
    assert [shard.layout for shard in version.shards] == ["lmdb", "arrow"]
    assert len(read_back(store, version)) == 12 and len(read_back(store, version, dropped=True)) == 1


def test_a_damaged_shard_is_not_converted(source, take, store):
    shard = take(source, shard_bytes=600).version.shards[1]
    name = images_name(shard.images)
    data = bytearray(store.get(name))
    data[-2000] ^= 1
    store.put(name, bytes(data))
    with pytest.raises(FormatError, match=name):
        convert(store, "d", layout="lmdb")
    assert latest_version(store, "d").number == 1


def test_a_writer_that_was_faster_is_converted_too(source, take, store, tree, picture):
    take(source)
    added = tree({"c/new.png": picture(20)}, "more")

    def add_meanwhile(done: int, total: int) -> None:
        if latest_version(store, "d").number == 1:
            take(added)

    result = convert(store, "d", layout="lmdb", on_progress=add_meanwhile)
    assert result.version.label == "d@3"
    assert [shard.layout for shard in result.version.shards] == ["lmdb", "lmdb"]
    assert (result.converted, result.present) == (2, 0)


@pytest.mark.parametrize(
    ("dataset", "layout", "said"),
    [("d", "zip", "expected arrow or lmdb"), ("d@1", "lmdb", "never changes"), ("e", "lmdb", "no dataset")],
)
def test_what_cannot_be_converted(source, take, store, objects, dataset, layout, said):
    take(source)
    before = objects(store)
    with pytest.raises(UsageError, match=said):
        convert(store, dataset, layout=layout)
    assert objects(store) == before
