"""kill -9 at five moments of a conversion, then a re-run: one new version, and the store of an undisturbed run."""

from __future__ import annotations

import pytest

import hapistore as hs

MOMENTS = 5
ARGUMENTS = ("convert", "cells", "--layout", "lmdb")


@pytest.fixture(scope="module")
def ingested(photographs, write_manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ingested")
    table = write_manifest(folder / "cells.csv", [(path, path.stem[-1]) for path in photographs[:900]])
    store = hs.open_store(folder / "store")
    version = hs.ingest(store, "cells", hs.manifest(table), hs.IngestOptions(shard_bytes=200_000)).version
    assert len(version.shards) > 100
    return folder / "store", len(version.shards)


@pytest.fixture(scope="module")
def undisturbed(make_victim, ingested, copy_store, tmp_path_factory):
    store = copy_store(ingested[0], tmp_path_factory.mktemp("undisturbed") / "store")
    make_victim(*ARGUMENTS, begun=lambda store: any(store.glob("images/*.lmdb"))).run(store)
    return store


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_convert_killed_then_run_again(
    make_victim, ingested, undisturbed, copy_store, tmp_path, assert_same_dataset, moment
):
    source, shards = ingested
    store = copy_store(source, tmp_path / "store")
    enough = 1 + moment * shards // MOMENTS
    victim = make_victim(*ARGUMENTS, begun=lambda store: len(list(store.glob("images/*.lmdb.json"))) >= enough)
    assert victim.kill_after(store, 0)
    done = list(store.glob("images/*.lmdb"))
    assert enough - 1 <= len(done) < shards
    assert not list(store.glob("datasets/cells/versions/*2.json"))
    assert hs.verify_store(hs.open_store(store)).damaged == []
    before = {path: path.stat().st_mtime_ns for path in store.glob("images/*")}
    result = hs.convert(hs.open_store(store), "cells", layout="lmdb")
    assert result.committed and (result.converted, result.present) == (shards - len(done), len(done))
    assert_same_dataset(store, undisturbed, "cells")
    assert len(list(store.glob("datasets/cells/versions/*.json"))) == 2
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
