"""kill -9 at ten moments of an ingest, then a re-run: the store is that of an undisturbed run."""

from __future__ import annotations

import pytest

MOMENTS = 10


@pytest.fixture(scope="module")
def victim(make_victim, photographs, write_manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    table = write_manifest(folder / "cells.csv", [(path, path.stem[-1]) for path in photographs[:600]])
    # The temporary folder is the first thing a store gets.
    return make_victim("ingest", "cells", table, "--shard-size", "1MiB", begun=lambda store: store.exists())


@pytest.fixture(scope="module")
def undisturbed(victim, tmp_path_factory):
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    return store, victim.run(store)


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_ingest_killed_then_run_again(victim, undisturbed, tmp_path, assert_same_dataset, moment):
    whole, seconds = undisturbed
    store = tmp_path / "store"
    killed = victim.kill_after(store, seconds * moment / MOMENTS)
    versions = list(store.glob("datasets/cells/versions/*.json"))
    assert killed or versions, "it ended, and committed nothing"
    victim.run(store)
    assert_same_dataset(store, whole, "cells")
    assert len(list(store.glob("datasets/cells/versions/*.json"))) == 1


def test_most_moments_hit_a_running_ingest(victim, undisturbed, tmp_path):
    """The test above would prove nothing if every kill came too late."""
    _, seconds = undisturbed
    assert victim.kill_after(tmp_path / "store", seconds * 0.5)
    assert not list((tmp_path / "store").glob("datasets/cells/versions/*.json"))
