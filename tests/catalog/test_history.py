"""A dataset's log: what each version changed, found without reading what did not change."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pytest

import hapistore as hs
from hapistore.catalog.expiring import expire_versions, remove_dataset
from hapistore.catalog.history import Changes, dataset_log
from hapistore.catalog.names import annotations_name
from hapistore.errors import UsageError
from hapistore.stores import FolderStore
from hapistore.stores.wrappers import CountingStore
from hapistore_format.image_shard_arrow import ROW_BYTES


@pytest.fixture
def store(make, tmp_path):
    """pets@1: ingested; @2: annotated; @3: images added and replaced; @4: in the other layout; @5: dropped."""
    photos, store = make.photos(tmp_path / "photos", 6), FolderStore(tmp_path / "store")
    hs.ingest(store, "pets", hs.image_folder(photos), hs.IngestOptions(shard_bytes=1))
    keys = ["class0/00.png", "class1/01.png"]
    table = pa.table({"key": keys, "label": ["a", "b"], "subset": ["train", None], "age": [1, 2]})
    hs.annotate(store, "pets", table)
    for number in (6, 7):
        shutil.copy(photos / f"class{number - 6}/0{number - 6}.png", photos / f"class0/0{number}.png")
    shutil.copy(photos / "class1/04.png", photos / "class2/02.png")
    hs.ingest(store, "pets", hs.image_folder(photos))
    hs.convert(store, "pets", layout="lmdb")
    hs.annotate(store, "pets", pa.table({"key": keys, "dropped": [True, True]}))
    hs.annotate(store, "pets", pa.table({"key": keys[:1], "dropped": [False]}))
    return store


def test_what_changed(store):
    found = {entry.version.number: entry.changes for entry in dataset_log(store, "pets")}
    assert list(found) == [6, 5, 4, 3, 2, 1]
    assert found[1] == Changes(added=6)
    assert found[2] == Changes(relabelled=2, resubset=1, edited=2, columns_added={"age": "int64"})
    assert found[3].added == 2 and found[3].replaced == 1
    assert found[3].relabelled == 2  # the folder says class0 and class1 again
    assert found[4] == Changes()
    assert found[5] == Changes(dropped=2)
    assert found[6] == Changes(restored=1)


def test_only_what_differs_is_read(store):
    counting = CountingStore(store)
    entries = dataset_log(counting, "pets")
    before = counting.counts.requests["get"]
    next(entries)
    # two versions, two annotation shards, no marker but a look for it
    assert counting.counts.requests["get"] - before == 5
    assert next(entries).version.number == 5


def test_expired_versions_are_told_and_what_gc_took_is_unknown(store):
    expire_versions(store, "pets", keep=2)
    first, *_, last = dataset_log(store, "pets")
    assert first.expired is None and last.expired is not None
    removed = {shard.annotations for shard in last.version.shards} - {s.annotations for s in first.version.shards}
    for digest in removed:
        store.delete(annotations_name(digest))
    found = {entry.version.number: entry.changes for entry in dataset_log(store, "pets")}
    assert found[1] is None and found[2] is None and found[6] == Changes(restored=1)
    remove_dataset(store, "pets")
    assert all(entry.expired for entry in dataset_log(store, "pets"))


def test_the_same_pictures_twice_are_not_mixed_up(make, tmp_path):
    """Two folders of equal pictures are two shards of one digest."""
    store = FolderStore(tmp_path / "store")
    make.photos(tmp_path / "photos/one", 2)
    shutil.copytree(tmp_path / "photos/one", tmp_path / "photos/two")
    for path in (tmp_path / "photos").rglob("broken.png"):
        path.unlink()
    shard_bytes = sum(path.stat().st_size + ROW_BYTES for path in (tmp_path / "photos/one").rglob("*.png"))
    version = hs.ingest(
        store, "pets", hs.image_folder(tmp_path / "photos"), hs.IngestOptions(shard_bytes=shard_bytes)
    ).version
    assert len(version.shards) == 2 and len({shard.images for shard in version.shards}) == 1
    keys = ["one/class0/00.png", "two/class0/00.png", "two/class1/01.png"]
    hs.annotate(store, "pets", pa.table({"key": keys, "label": ["a", "b", "c"], "dropped": [False, True, False]}))
    newest, first = dataset_log(store, "pets")
    assert first.changes == Changes(added=4)
    assert newest.changes == Changes(relabelled=2, dropped=1)


def test_refusals(store):
    with pytest.raises(UsageError, match="names one version"):
        dataset_log(store, "pets@1")
    with pytest.raises(UsageError, match="did you mean pets"):
        dataset_log(store, "pest")
