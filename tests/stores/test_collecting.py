"""gc in buckets: as in a folder on SeaweedFS, not at all on Swift, whose listings lag."""

from __future__ import annotations

import time
import uuid

import numpy as np
import pytest
from PIL import Image

import hapistore as hs
from hapistore.catalog import latest_version, verify_store
from hapistore.catalog.collecting import GcOptions, collect_garbage
from hapistore.catalog.expiring import expire_versions, remove_dataset, roll_back
from hapistore.catalog.names import images_names
from hapistore.errors import UsageError
from hapistore.stores import ensure, idioms, open_store


@pytest.fixture
def photos(tmp_path):
    for number in range(6):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def test_gc_on_seaweedfs(seaweedfs, photos, monkeypatch):
    store = open_store(seaweedfs.url(f"gc/{uuid.uuid4().hex}"))
    hs.ingest(store, "pets", hs.image_folder(photos), hs.IngestOptions(shard_bytes=1))
    hs.convert(store, "pets", layout="lmdb")
    expire_versions(store, "pets", keep=1)
    assert not collect_garbage(store).removed
    with pytest.raises(UsageError, match="too short"):
        collect_garbage(store, GcOptions(grace_s=5))
    monkeypatch.setattr(idioms, "RENEW_AFTER_S", -1.0)  # everything is old
    name = images_names(latest_version(store, "pets").shards[0].images, "arrow")[0]
    written = store.head(name).modified
    assert not ensure(store, name, store.get(name)) and store.head(name).modified >= written
    time.sleep(1.1)  # its clock counts seconds
    report = collect_garbage(store, GcOptions(grace_s=0, no_writers=True))
    shards = len(latest_version(store, "pets").shards)
    assert report.removed == {"images": shards} and (report.young, report.lost) == (0, [])
    left = [info.name for info in store.list("images/")]
    assert left and not [name for name in left if name.endswith(".arrow")]
    assert verify_store(store).damaged == []
    remove_dataset(store, "pets")
    assert roll_back(store, "pets@2").version.number == 3
    assert verify_store(store).damaged == []


def test_gc_refuses_on_swift(swift, photos):
    store = open_store(swift.url(f"gc/{uuid.uuid4().hex}"), sole_writer=True)
    hs.ingest(store, "pets", hs.image_folder(photos))
    with pytest.raises(UsageError, match="lists objects late, so gc could miss a version"):
        collect_garbage(store, GcOptions(no_writers=True))
