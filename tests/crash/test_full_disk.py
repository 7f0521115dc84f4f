"""A file system that fills up: a clear error, nothing half done, and success once there is space."""

from __future__ import annotations

import subprocess

import pytest

import hapistore as hs

SIZE = 40 << 20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 40 MiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(mount)]
    if subprocess.run(options, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.parametrize("layout", ["arrow", "lmdb"])
def test_an_ingest_that_fills_the_disk(
    small_disk, photographs, write_manifest, tmp_path, hapistore, assert_same_dataset, layout
):
    table = write_manifest(tmp_path / "cells.csv", [(path, path.stem[-1]) for path in photographs[:600]])  # 20 MB
    command = ["ingest", "cells", table, "--shard-size", "4MiB", "--layout", layout]
    assert hapistore(*command, "--store", tmp_path / "whole").returncode == 0
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(SIZE - (12 << 20)))
    store = small_disk / "store"
    failed = hapistore(*command, "--store", store)
    assert failed.returncode == 1
    assert "No space left on device" in failed.stderr and failed.stderr.count("\n") == 1
    arrived = {path.name: path.stat().st_mtime_ns for path in store.glob("images/*")}
    assert arrived and not list(store.glob("datasets/*/versions/*"))
    assert hs.verify_store(hs.open_store(store)).damaged == []
    ballast.unlink()
    assert hapistore(*command, "--store", store).returncode == 0
    assert_same_dataset(store, tmp_path / "whole", "cells")
    # What had arrived was not written again.
    assert {name: (store / "images" / name).stat().st_mtime_ns for name in arrived} == arrived
