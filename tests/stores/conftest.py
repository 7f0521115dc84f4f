"""Real object stores on loopback, started once for all tests of this folder."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVERS = Path(__file__).resolve().parents[1] / "servers"


def _run(module: str, *arguments: object, **options: object) -> Iterator[object]:
    """What a module of the servers runs in a context that is called like it."""
    sys.path.insert(0, str(SERVERS))
    try:
        start = getattr(importlib.import_module(module), module)
    finally:
        sys.path.remove(str(SERVERS))
    with start(*arguments, **options) as running:
        yield running


@pytest.fixture(scope="session")
def seaweedfs_server(tmp_path_factory) -> Iterator[object]:
    yield from _run("seaweedfs", tmp_path_factory.mktemp("seaweedfs"))


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory) -> Iterator[object]:
    yield from _run("swift", tmp_path_factory.mktemp("swift"))


@pytest.fixture(scope="session")
def azurite_server(tmp_path_factory) -> Iterator[object]:
    if shutil.which("npm") is None:
        pytest.skip("Azurite is not tested: there is no npm on this machine, by which it is installed")
    yield from _run("azurite", tmp_path_factory.mktemp("azurite"))


@pytest.fixture
def seaweedfs(seaweedfs_server, monkeypatch) -> object:
    """SeaweedFS, with credentials in the environment."""
    for name, value in seaweedfs_server.environment.items():
        monkeypatch.setenv(name, value)
    return seaweedfs_server


@pytest.fixture
def faulty_proxy(seaweedfs) -> Iterator[object]:
    """SeaweedFS behind HTTP's faults, of which there are none yet."""
    yield from _run("faulty_proxy", seaweedfs.endpoint, 0.0, stall_s=1.5, seed=1)


@pytest.fixture
def faulty_link(seaweedfs) -> Iterator[object]:
    """SeaweedFS behind TCP's faults, of which there are none yet."""
    yield from _run("faulty_link", seaweedfs.endpoint, 0.0, stall_s=1.5, seed=1)


@pytest.fixture
def swift(swift_server, monkeypatch) -> object:
    """OpenStack Swift, with credentials in the environment."""
    for name, value in swift_server.environment.items():
        monkeypatch.setenv(name, value)
    return swift_server


@pytest.fixture
def azurite(azurite_server, monkeypatch) -> object:
    """Azurite, with credentials in the environment."""
    for name, value in azurite_server.environment.items():
        monkeypatch.setenv(name, value)
    return azurite_server
