"""kill -9 of gc at five moments: nothing that a version names is lost, and the next run removes the rest."""

from __future__ import annotations

import os

import pytest

import hapistore as hs
from hapistore.catalog.collecting import GcOptions, collect_garbage
from hapistore.catalog.expiring import expire_versions

MOMENTS = 5
ARGUMENTS = ("gc", "--grace", "1d")


@pytest.fixture(scope="module")
def expired(photographs, write_manifest, tmp_path_factory):
    """cells@1 in layout lmdb, cells@2 the same in arrow; the first given up, all of it old."""
    folder = tmp_path_factory.mktemp("expired")
    table = write_manifest(folder / "cells.csv", [(path, path.stem[-1]) for path in photographs[:900]])
    store = hs.open_store(folder / "store")
    hs.ingest(store, "cells", hs.manifest(table), hs.IngestOptions(shard_bytes=40_000, layout="lmdb"))
    hs.convert(store, "cells", layout="arrow")
    expire_versions(store, "cells", keep=1)
    for path in (folder / "store").rglob("*.*"):
        os.utime(path, (1e9, 1e9))
    garbage = sum(collect_garbage(store, GcOptions(dry_run=True)).removed.values())
    assert garbage > 1000
    return folder / "store", garbage


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_gc_killed_then_run_again(make_victim, expired, copy_store, tmp_path, moment):
    source, garbage = expired
    store = copy_store(source, tmp_path / "store")
    for path in store.rglob("*.*"):
        os.utime(path, (1e9, 1e9))
    files = sum(1 for _ in store.glob("images/*"))
    gone = 1 + moment * garbage // MOMENTS

    def begun(folder):
        return sum(1 for _ in folder.glob("images/*")) <= files - gone

    assert make_victim(*ARGUMENTS, begun=begun).kill_after(store, 0)
    opened = hs.open_store(store)
    assert hs.verify_store(opened).damaged == []
    assert all(path.with_name(path.name + ".json").exists() for path in store.glob("images/*.lmdb"))
    left = collect_garbage(opened, GcOptions(dry_run=True)).removed
    assert 0 < sum(left.values()) <= garbage - gone
    assert collect_garbage(opened).removed == left
    assert not list(store.glob("images/*.lmdb*"))
    assert hs.verify_store(opened).damaged == []
