"""Killing a hapistore process at a chosen share of its work, and comparing stores afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hapistore as hs
from hapistore.catalog import resolve_version
from hapistore_format import FeatureShardReader

TOLERANCE = 1e-4  # of precision f32, relative to the largest feature


class Victim:
    """Starts ``hapistore`` on a store and kills it.

    Args:
        begun: tells from the store's folder that the process is past its imports and at work.
    """

    def __init__(self, environment: dict[str, str], arguments: list[object], begun: Callable[[Path], bool]) -> None:
        self._environment, self._arguments, self._begun = environment, list(map(str, arguments)), begun

    def run(self, store: Path) -> float:
        """Let it finish; returns the seconds from its first write to its end."""
        process = self._start(store)
        begun = self._wait(process, store)
        assert process.wait(300) == 0
        return time.monotonic() - begun

    def kill_after(self, store: Path, seconds: float) -> bool:
        """Kill -9 that long after its first write; False where it had ended by then."""
        process = self._start(store)
        deadline = self._wait(process, store) + seconds
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.001)
        ended = process.poll() is not None
        process.kill()
        process.wait()
        return not ended

    def _start(self, store: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "hapistore", *self._arguments, "--store", str(store)]
        return subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _wait(self, process: subprocess.Popen[bytes], store: Path) -> float:
        while not self._begun(store):
            assert process.poll() is None, "it ended before it had begun"
            time.sleep(0.001)
        return time.monotonic()


@pytest.fixture(scope="session")
def make_victim(environment):
    def make(*arguments: object, begun: Callable[[Path], bool]) -> Victim:
        return Victim(environment, list(arguments), begun)

    return make


def stored_files(store: Path, folder: str) -> dict[str, bytes]:
    """Every object below ``folder``, with its bytes."""
    root = store / folder
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def assert_same_dataset():
    """Image shards and annotations equal to the byte, versions list the same shards, and all verifies."""

    def check(store: Path, undisturbed: Path, dataset: str) -> None:
        for folder in ("images", "annotations"):
            assert stored_files(store, folder) == stored_files(undisturbed, folder)
        found, expected = (resolve_version(hs.open_store(path), dataset) for path in (store, undisturbed))
        assert found.label == expected.label
        assert found.shards == expected.shards
        assert hs.verify_store(hs.open_store(store)).damaged == []

    return check


def _may_differ(reader: FeatureShardReader, features: np.ndarray) -> np.ndarray:
    """How far two runs may differ, per channel: the precision's tolerance, and each run's own rounding to 8 bits."""
    allowed = TOLERANCE * np.abs(features).max()
    if reader.header.codec.startswith("u8c"):
        allowed = allowed + 2 * (features.max(axis=0) - features.min(axis=0) + 2 * allowed) / 500
    return np.broadcast_to(allowed, features.shape)


@pytest.fixture(scope="session")
def assert_same_features():
    """The same feature shards; f32 equal within the precision's tolerance, u8c within its stated bound besides."""

    def check(store: Path, undisturbed: Path) -> None:
        found, expected = stored_files(store, "features"), stored_files(undisturbed, "features")
        assert found.keys() == expected.keys()
        for name, data in found.items():
            reader = FeatureShardReader(expected[name], where=name)
            theirs = reader.features()
            ours = FeatureShardReader(data, where=name).features()
            assert (np.abs(ours - theirs) <= _may_differ(reader, theirs)).all(), name
        for folder in ("recipes", "models"):
            assert stored_files(store, folder) == stored_files(undisturbed, folder)
        assert hs.verify_store(hs.open_store(store)).damaged == []

    return check


@pytest.fixture(scope="session")
def copy_store():
    def copy(source: Path, target: Path) -> Path:
        shutil.copytree(source, target)
        return target

    return copy
