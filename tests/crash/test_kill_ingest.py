"""kill -9 at random moments of an ingest, each then run again: the store is that of an undisturbed run.

HAPISTORE_KILLS=200 kills so often; it takes minutes.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from pathlib import Path

import pytest

import hapistore as hs
from hapistore.ingestion import IngestOptions, ingest, manifest

KILLS = int(os.environ.get("HAPISTORE_KILLS", "60"))
IMAGES, SHARD_BYTES = 150, 2_000_000


def ingest_into(store: Path, table: Path) -> None:
    """What the processes do."""
    ingest(hs.open_store(store), "cells", manifest(table), IngestOptions(shard_bytes=SHARD_BYTES))


def start(processes, store: Path, table: Path):
    """A process that has begun: the temporary folder is the first thing a store gets."""
    process = processes.Process(target=ingest_into, args=(store, table))
    process.start()
    while not store.exists():
        assert process.exitcode is None
    return process


@pytest.fixture(scope="module")
def processes():
    """Starts a process that has imported everything already, so that a kill meets work and not imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hapistore.ingestion", "hapistore.catalog", "PIL.Image", "pyarrow.csv", __name__])
    return context


@pytest.fixture(scope="module")
def table(photographs, write_manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    return write_manifest(folder / "cells.csv", [(path, path.stem[-1]) for path in photographs[:IMAGES]])


@pytest.fixture(scope="module")
def undisturbed(processes, table, tmp_path_factory):
    """A whole store, and how long it takes to make one."""
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    seconds = []
    for _ in range(5):
        shutil.rmtree(store, ignore_errors=True)
        process = start(processes, store, table)
        began = time.monotonic()
        process.join()
        assert process.exitcode == 0
        seconds.append(time.monotonic() - began)
    assert len(list(store.glob("images/*.arrow"))) == 3
    return store, sorted(seconds)[2]


@pytest.fixture
def killed(processes, table, undisturbed, tmp_path, assert_same_dataset):
    """Kills an ingest when ``wait`` returns and runs it again; what the kill left: numbers of shards and versions."""
    whole, _ = undisturbed
    store = tmp_path / "store"

    def kill(wait) -> tuple[int, int]:
        process = start(processes, store, table)
        wait(store, process)
        process.kill()
        process.join()
        left = tuple(len(list(store.glob(name))) for name in ("images/*.arrow", "datasets/*/versions/*.json"))
        ingest_into(store, table)
        assert_same_dataset(store, whole, "cells")
        assert len(list(store.glob("datasets/cells/versions/*.json"))) == 1
        shutil.rmtree(store)
        return left

    return kill


def test_killed_at_random_moments(killed, undisturbed):
    _, seconds = undisturbed
    moments = random.Random(7)
    left = {killed(lambda *_: time.sleep(moments.uniform(0, 1.05) * seconds)) for _ in range(KILLS)}
    # It would prove nothing if every kill came before the first shard or after the last.
    assert len({images for images, versions in left if not versions}) > 1, left


@pytest.mark.parametrize("shards", [0, 1, 2, 3])
def test_killed_as_soon_as_shards_are_stored(killed, shards):
    """Random moments seldom meet the few milliseconds between one shard and the next."""

    def wait(store, process):
        while len(list(store.glob("images/*.arrow"))) < shards and process.is_alive():
            pass

    left = []
    while left.count((shards, 0)) < 3:
        left.append(killed(wait))
        assert len(left) < 60, left
