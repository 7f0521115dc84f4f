"""Expiring versions, removing datasets, and rolling back: no image is removed, moved or copied."""

from __future__ import annotations

import pytest

from hapistore import image_folder, ingest
from hapistore.catalog import (
    commit_version,
    dataset_names,
    latest_version,
    names,
    open_version,
    read_version,
    resolve_version,
    verify_store,
)
from hapistore.catalog.copying import copy_dataset
from hapistore.catalog.expiring import expire_versions, remove_dataset, roll_back
from hapistore.errors import HapistoreError, MissingObjects, UsageError
from hapistore.stores import MemoryStore
from hapistore_format import DamagedError, Expiry


@pytest.fixture
def store(copied):
    """pets@1 to pets@4, each with one shard less than the one before; pets@1 is real."""
    for _ in range(3):
        commit_version(copied, "pets", lambda newest, number: _shorter(newest, number))
    return copied


def _shorter(newest, number):
    return type(newest)(**{**vars(newest), "number": number, "shards": newest.shards[:-1]})


def labels(store, numbers) -> list[str]:
    return [open_version(store, "pets", number).label for number in numbers]


def test_old_versions_expire_and_the_newest_stay(store):
    before = {info.name: bytes(store.get(info.name)) for info in store.list()}
    result = expire_versions(store, "pets", keep=2)
    assert (result.expired, result.kept) == ((1, 2), (3, 4))
    assert expire_versions(store, "pets", keep=2).expired == ()
    assert labels(store, (3, 4)) == ["pets@3", "pets@4"]
    for number in (1, 2):
        with pytest.raises(
            UsageError, match=rf"pets@{number} expired on .*; hapistore rollback pets@{number} restores"
        ):
            resolve_version(store, f"pets@{number}")
        assert read_version(store, "pets", number).number == number
    after = {info.name: bytes(store.get(info.name)) for info in store.list()}
    assert {name: after[name] for name in before} == before
    assert sorted(after.keys() - before.keys()) == [names.expiry_name("pets", number) for number in (1, 2)]
    assert verify_store(store).damaged == []


def test_a_removed_dataset_is_gone_until_it_is_rolled_back(store):
    result = remove_dataset(store, "pets")
    assert result.expired == (1, 2, 3, 4)
    assert dataset_names(store) == [] and latest_version(store, "pets") is None
    for text in ("pets", "pets@4"):
        with pytest.raises(UsageError, match=r"hapistore rollback pets@4 (brings it back|restores it)"):
            resolve_version(store, text)
    with pytest.raises(UsageError, match=r"pets was removed on"):
        remove_dataset(store, "pets")
    with pytest.raises(UsageError, match=r"the last was pets@4, which is removed"):
        resolve_version(store, "pets@9")
    back = roll_back(store, "pets@2")
    assert back.committed and back.version.number == 5
    assert back.version.shards == read_version(store, "pets", 2).shards
    assert dataset_names(store) == ["pets"] and resolve_version(store, "pets") == back.version
    again = roll_back(store, "pets@2")
    assert not again.committed and again.version.number == 5


def test_an_ingest_after_rm_begins_from_nothing_with_the_next_number(store, make, tmp_path):
    remove_dataset(store, "pets")
    result = ingest(store, "pets", image_folder(make.photos(tmp_path / "photos", 3)))
    assert (result.version.number, result.version.rows) == (5, 3)
    assert dataset_names(store) == ["pets"]


def test_the_newest_is_below_an_expired_one(store):
    store.create(names.expiry_name("pets", 4), Expiry(dataset="pets", number=4, expired="now").serialise())
    assert latest_version(store, "pets").number == 3
    assert commit_version(store, "pets", _shorter).number == 5
    assert expire_versions(store, "pets", keep=2).kept == (3, 5)


def test_finding_the_newest_of_many_expired_needs_few_requests(make):
    class Counting(MemoryStore):
        requests = 0

        def head(self, name):
            self.requests += 1
            return super().head(name)

    store = Counting()
    for number in range(1, 501):
        store.create(names.version_name("pets", number), make.version("pets", number).serialise())
        if number != 3:
            marker = Expiry(dataset="pets", number=number, expired="now").serialise()
            store.create(names.expiry_name("pets", number), marker)
    assert latest_version(store, "pets").number == 3
    assert store.requests < 30


def test_a_rollback_needs_everything_to_be_there(store):
    shard = read_version(store, "pets", 1).shards[-1]
    image, annotation = names.images_name(shard.images), names.annotations_name(shard.annotations)
    kept = {name: store.get(name) for name in (image, annotation)}
    for name in kept:
        store.delete(name)
        with pytest.raises(MissingObjects, match=name) as caught:
            roll_back(store, "pets@1")
        assert caught.value.names == (name,)
        store.create(name, kept[name])
    store.put(image, b"half")
    with pytest.raises(HapistoreError, match=rf"{image} has 4 bytes, pets@1 says"):
        roll_back(store, "pets@1")
    assert latest_version(store, "pets").number == 4
    store.put(image, kept[image])
    assert roll_back(store, "pets@1").version.number == 5


def test_a_rollback_that_gc_overtook_is_taken_back(store, monkeypatch):
    from hapistore.catalog import expiring

    real = expiring.commit_version
    name = names.images_name(read_version(store, "pets", 1).shards[-1].images)

    def commit(*arguments):
        store.delete(name)
        return real(*arguments)

    monkeypatch.setattr(expiring, "commit_version", commit)
    with pytest.raises(MissingObjects, match=name):
        roll_back(store, "pets@1")
    assert latest_version(store, "pets").number == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: expire_versions(s, "pets@2", keep=1), r"names one version"),
        (lambda s: expire_versions(s, "pest", keep=1), r"did you mean pets"),
        (lambda s: expire_versions(s, "pets", keep=0), r"expected at least 1; hapistore rm pets"),
        (lambda s: remove_dataset(s, "pets@2"), r"names one version"),
        (lambda s: remove_dataset(s, "cars"), r"there is no dataset 'cars'"),
        (lambda s: roll_back(s, "pets"), r"names no version; write it like pets@3"),
        (lambda s: roll_back(s, "pets@9"), r"there is no pets@9; the last is pets@4"),
        (lambda s: roll_back(s, "cars@1"), r"there is no dataset 'cars'"),
    ],
)
def test_refusals_write_nothing(store, call, message):
    before = {info.name for info in store.list()}
    with pytest.raises(UsageError, match=message):
        call(store)
    assert {info.name for info in store.list()} == before


def test_a_damaged_or_renamed_marker_is_named(store):
    expire_versions(store, "pets", keep=3)
    name = names.expiry_name("pets", 1)
    data = bytearray(store.get(name))
    store.put(names.expiry_name("pets", 2), bytes(data))
    with pytest.raises(UsageError, match="is of pets@1: objects were renamed"):
        open_version(store, "pets", 2)
    data[20] ^= 1
    store.put(name, bytes(data))
    with pytest.raises(DamagedError, match=name):
        open_version(store, "pets", 1)
    damaged = {damage.name: damage.code for damage in verify_store(store).damaged}
    assert damaged == {name: "bad-seal", names.expiry_name("pets", 2): "bad-name"}


def test_verification_misses_nothing_of_expired_versions(store):
    shard = read_version(store, "pets", 1).shards[-1]
    store.delete(names.images_name(shard.images))
    assert [damage.code for damage in verify_store(store).damaged] == ["missing"]
    expire_versions(store, "pets", keep=3)
    assert verify_store(store).damaged == []
    store.delete(names.version_name("pets", 1))
    assert [damage.name for damage in verify_store(store).damaged] == [names.version_name("pets", 1)]


def test_markers_are_not_copied(store):
    expire_versions(store, "pets", keep=1)
    target = MemoryStore()
    copy_dataset(store, target, "pets")
    assert not [info.name for info in target.list() if "/expired/" in info.name]
    with pytest.raises(UsageError, match="pets@2 expired"):
        copy_dataset(store, MemoryStore(), "pets@2")
    remove_dataset(target, "pets")
    assert copy_dataset(store, target, "pets").version.number == 2
