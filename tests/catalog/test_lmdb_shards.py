"""Image shards in the LMDB layout are two objects: both are verified, and either can be lost and made again."""

from __future__ import annotations

import random

import pytest

from hapistore import IngestOptions, image_folder, ingest
from hapistore.catalog import open_image_shard, resolve_version, store_image_shard, verify_store
from hapistore.catalog.names import images_name, seal_name
from hapistore.catalog.verifying import SET_ASIDE, set_aside
from hapistore.errors import NotFound
from hapistore.stores import FolderStore, MemoryStore
from hapistore_format import DamagedError, FileSeal, FormatError, ImageRecord, record_digest


@pytest.fixture(scope="module")
def photos(make, tmp_path_factory):
    return make.photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(params=["folder", "memory"])
def pets(request, photos, tmp_path):
    """A store with pets@1 in the LMDB layout, where readers map files, and where there are none."""
    store = FolderStore(tmp_path / "store") if request.param == "folder" else MemoryStore()
    take(store, photos)
    return store


def take(store, photos):
    return ingest(store, "pets", image_folder(photos), IngestOptions(shard_bytes=3000, layout="lmdb"))


def found(store) -> dict[str, str]:
    return {damage.name: damage.code for damage in verify_store(store).damaged}


def first(store):
    return resolve_version(store, "pets").shards[0]


def all_of(store) -> dict[str, bytes]:
    return {info.name: bytes(store.get(info.name)) for info in store.list()}


def some_records(count: int = 3) -> list[ImageRecord]:
    images = [bytes([row]) * 50 for row in range(count)]
    return [
        ImageRecord(image=i, width=1, height=1, orientation=1, format="PNG", digest=record_digest(i)) for i in images
    ]


def test_a_sound_store_is_sound(pets):
    version = resolve_version(pets, "pets")
    assert len(version.shards) > 2 and {shard.layout for shard in version.shards} == {"lmdb"}
    report = verify_store(pets)
    assert (report.damaged, report.unknown) == ([], [])
    for shard in version.shards:
        assert shard.bytes == pets.head(images_name(shard.images, "lmdb")).bytes
        assert len(open_image_shard(pets, shard)) == shard.rows


@pytest.mark.parametrize("name_of", [lambda d: images_name(d, "lmdb"), seal_name], ids=["file", "seal"])
def test_one_flipped_bit_of_either_is_found_and_refused(pets, name_of):
    shard = first(pets)
    name = name_of(shard.images)
    whole = bytes(pets.get(name))
    for place in random.Random(name_of(shard.images)).sample(range(len(whole) * 8), 60):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        pets.put(name, bytes(data))
        assert list(found(pets)) == [name], f"bit {place}"
        with pytest.raises(DamagedError, match=name):
            open_image_shard(pets, shard)
    for size in (0, 1, 100, len(whole) - 1):
        pets.put(name, whole[:size])
        assert list(found(pets)) == [name]
        with pytest.raises(FormatError):
            open_image_shard(pets, shard)
    pets.put(name, whole)
    assert found(pets) == {}


@pytest.mark.parametrize("name_of", [lambda d: images_name(d, "lmdb"), seal_name], ids=["file", "seal"])
def test_one_that_is_missing_is_named_and_made_again(pets, photos, name_of):
    before = all_of(pets)
    name = name_of(first(pets).images)
    pets.delete(name)
    assert found(pets) == {name: "missing"}
    with pytest.raises(NotFound, match=name):
        open_image_shard(pets, first(pets))
    result = take(pets, photos)
    assert not result.committed and result.shards_written == 1
    assert all_of(pets) == before


@pytest.mark.parametrize("name_of", [lambda d: images_name(d, "lmdb"), seal_name], ids=["file", "seal"])
def test_one_that_is_set_aside_is_made_again(pets, photos, name_of):
    before = all_of(pets)
    name = name_of(first(pets).images)
    pets.put(name, b"x" + before[name][1:])
    [damage] = verify_store(pets).damaged
    assert set_aside(pets, damage) == SET_ASIDE + name
    assert found(pets) == {name: "missing"}
    take(pets, photos)
    pets.delete(SET_ASIDE + name)
    assert all_of(pets) == before


def test_a_shard_under_another_name_is_found(pets):
    shard = first(pets)
    other = "ab" * 32
    pets.create(images_name(other, "lmdb"), pets.get(images_name(shard.images, "lmdb")))
    pets.create(seal_name(other), pets.get(seal_name(shard.images)))
    assert found(pets) == {images_name(other, "lmdb"): "bad-name", seal_name(other): "bad-name"}


def test_a_file_that_nobody_sealed_is_found(pets):
    pets.create(images_name("ab" * 32, "lmdb"), b"x")
    assert found(pets) == {seal_name("ab" * 32): "missing"}


def test_a_writer_that_was_killed_leaves_no_damage_and_the_next_one_ends_it():
    store = MemoryStore()
    digest, _, written = store_image_shard(store, some_records(), "lmdb")
    assert written and not store_image_shard(store, some_records(), "lmdb").written
    before = all_of(store)
    store.delete(images_name(digest, "lmdb"))  # the seal is written first
    assert found(store).keys() == {"hapistore.json"}
    assert store_image_shard(store, some_records(), "lmdb").written
    assert all_of(store) == before


def test_a_seal_of_other_pages_stays_with_its_file_and_goes_without():
    """As on a machine whose pages have another size: equal records, other bytes."""
    store = MemoryStore()
    digest, size, _ = store_image_shard(store, some_records(), "lmdb")
    before = all_of(store)
    other = FileSeal.of(memoryview(b"other pages"), images=digest).serialise()
    store.put(seal_name(digest), other)
    store.put(images_name(digest, "lmdb"), b"other pages")
    assert store_image_shard(store, some_records(), "lmdb") == (digest, len(b"other pages"), False)
    store.delete(images_name(digest, "lmdb"))
    assert store_image_shard(store, some_records(), "lmdb") == (digest, size, True)
    assert all_of(store) == before
