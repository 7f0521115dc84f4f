"""kill -9 at five moments of a conversion, then a re-run: one new version, and the store of an undisturbed run."""

from __future__ import annotations

import pytest

import hapistore as hs

MOMENTS = 5


@pytest.fixture(scope="module")
def ingested(photographs, write_manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ingested")
    table = write_manifest(folder / "cells.csv", [(path, path.stem[-1]) for path in photographs[:900]])
    store = hs.open_store(folder / "store")
    hs.ingest(store, "cells", hs.manifest(table), hs.IngestOptions(shard_bytes=1 << 20))
    return folder / "store"


@pytest.fixture(scope="module")
def victim(make_victim):
    return make_victim(
        *("convert", "cells", "--layout", "lmdb"), begun=lambda store: any(store.glob("images/*.lmdb.json"))
    )


@pytest.fixture(scope="module")
def undisturbed(victim, ingested, copy_store, tmp_path_factory):
    store = copy_store(ingested, tmp_path_factory.mktemp("undisturbed") / "store")
    return store, victim.run(store)


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_convert_killed_then_run_again(
    victim, ingested, undisturbed, copy_store, tmp_path, assert_same_dataset, moment
):
    whole, seconds = undisturbed
    store = copy_store(ingested, tmp_path / "store")
    killed = victim.kill_after(store, seconds * moment / MOMENTS)
    committed = list(store.glob("datasets/cells/versions/*2.json"))
    assert killed or committed, "it ended, and committed nothing"
    assert hs.verify_store(hs.open_store(store)).damaged == []
    before = {path: path.stat().st_mtime_ns for path in store.glob("images/*")}
    assert hs.convert(hs.open_store(store), "cells", layout="lmdb").committed == (not committed)
    assert_same_dataset(store, whole, "cells")
    assert len(list(store.glob("datasets/cells/versions/*.json"))) == 2
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())


def test_most_moments_hit_a_running_conversion(victim, undisturbed, ingested, copy_store, tmp_path):
    """The test above would prove nothing if every kill came too late."""
    store = copy_store(ingested, tmp_path / "store")
    assert victim.kill_after(store, undisturbed[1] * 0.4)
    assert not list(store.glob("datasets/cells/versions/*2.json"))
