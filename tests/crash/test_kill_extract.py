"""kill -9 at ten moments of an extraction, and three of variants, then a re-run: every feature shard is right."""

from __future__ import annotations

import functools

import pytest

import hapistore as hs

MOMENTS = 10
KILLS = [("plain", moment) for moment in range(MOMENTS)] + [("variants", moment) for moment in (2, 5, 8)]


@pytest.fixture(scope="module")
def ingested(photographs, write_manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ingested")
    table = write_manifest(folder / "cells.csv", [(path, path.stem[-1]) for path in photographs[:24]])
    store = hs.open_store(folder / "store")
    version = hs.ingest(store, "cells", hs.manifest(table), hs.IngestOptions(shard_bytes=120_000)).version
    assert len(version.shards) > 5
    return folder / "store"


@pytest.fixture(scope="module")
def undisturbed(make_victim, ingested, copy_store, tmp_path_factory):
    """By kind: who is killed; a store of a whole run; the seconds that took."""

    @functools.cache
    def run(kind: str):
        variants = ("--variants", "2") if kind == "variants" else ()
        arguments = ("extract", "cells", "--backbone", "efficientnet_lite0", "--codec", "f32,u8c+zstd", *variants)
        # Eager torch starts sooner than a compiled network, so more of the time is extraction.
        victim = make_victim(*arguments, "--executor", "torch", begun=lambda store: (store / "models").exists())
        store = copy_store(ingested, tmp_path_factory.mktemp("undisturbed") / "store")
        return victim, store, victim.run(store)

    return run


@pytest.mark.parametrize(("kind", "moment"), KILLS)
def test_extract_killed_then_run_again(undisturbed, ingested, copy_store, tmp_path, assert_same_features, kind, moment):
    victim, whole, seconds = undisturbed(kind)
    store = copy_store(ingested, tmp_path / "store")
    killed = victim.kill_after(store, seconds * moment / MOMENTS)
    before = {path: path.stat().st_mtime_ns for path in store.glob("features/**/*.arrow")}
    assert killed or before, "it ended, and stored nothing"
    victim.run(store)
    assert_same_features(store, whole)
    # What was there is left alone: nothing is computed twice.
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
