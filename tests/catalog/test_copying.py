"""A dataset with its features in another store: complete, checked, continued where it stopped."""

from __future__ import annotations

import pytest

import hapistore as hs
from hapistore.catalog import resolve_version, verify_store
from hapistore.catalog.copying import copy_dataset
from hapistore.errors import FormatError, UsageError
from hapistore.stores import FolderStore, MemoryStore
from hapistore.stores.wrappers import CountingStore


@pytest.fixture
def source(make, tmp_path) -> FolderStore:
    """pets in both layouts, with features of two codecs, one of them in part; and a quarantine report."""
    store = FolderStore(tmp_path / "source")
    photos = make.photos(tmp_path / "photos")
    hs.ingest(store, "pets", hs.image_folder(photos), hs.IngestOptions(shard_bytes=3000))
    recipe = make.recipe(store)
    make.features(store, resolve_version(store, "pets"), recipe, "u8c+zstd")
    make.features(store, resolve_version(store, "pets"), recipe, "f32")
    store.delete(next(info.name for info in store.list("features/") if "/f32/" in info.name))
    return store


def test_everything_that_a_version_needs_is_there_afterwards(source):
    target = MemoryStore()
    result = copy_dataset(source, target, "pets")
    assert (result.committed and result.present == 0) or result.present == 1  # the feature shard that is not there
    here = {info.name: bytes(source.get(info.name)) for info in source.list()}
    there = {info.name: bytes(target.get(info.name)) for info in target.list()}
    assert there == here
    assert verify_store(target).damaged == []
    assert hs.open_view(target, "pets", codec="u8c+zstd")


def test_again_copies_nothing(source):
    target = CountingStore(MemoryStore())
    first = copy_dataset(source, target, "pets")
    sent = target.counts.sent_bytes
    again = copy_dataset(source, target, "pets")
    assert (again.committed, again.objects, again.bytes) == (False, 0, 0)
    assert again.present >= first.objects
    assert target.counts.sent_bytes - sent < 1000  # the marker, which is there too


class Stop(Exception):
    pass


def test_stopped_it_continues_and_commits_last(source):
    def stop(done, total):
        if done == total // 2:
            raise Stop

    target = MemoryStore()
    with pytest.raises(Stop):
        copy_dataset(source, target, "pets", on_progress=stop)
    assert not [info for info in target.list("datasets/") if "/versions/" in info.name]
    rest = copy_dataset(source, target, "pets")
    assert rest.committed and rest.present > 0 and rest.objects > 0
    assert verify_store(target).damaged == []


def test_an_old_version_can_be_copied(source, make, tmp_path):
    hs.ingest(source, "pets", hs.image_folder(make.photos(tmp_path / "more", count=3)))
    target = MemoryStore()
    copied = copy_dataset(source, target, "pets@1").version
    assert copied.number == 1 and copied.shards == resolve_version(source, "pets@1").shards
    newest = copy_dataset(source, target, "pets").version
    assert newest.number == 2 and newest.shards == resolve_version(source, "pets").shards


def test_damage_is_not_copied(source):
    name = next(info.name for info in source.list("images/"))
    path = source.local_path(name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    target = MemoryStore()
    with pytest.raises(FormatError, match=name):
        copy_dataset(source, target, "pets")
    assert not [info for info in target.list("datasets/") if "/versions/" in info.name]
    assert name not in {info.name for info in target.list()}


def test_a_store_is_not_copied_onto_itself(source):
    with pytest.raises(UsageError, match="both source and target"):
        copy_dataset(source, FolderStore(source.root), "pets")
