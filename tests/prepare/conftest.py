"""A small network and a small dataset to prepare: seconds, not minutes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import hapistore as hs

sys.path.insert(0, str(Path(__file__).parent))
from small_net import Small


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Small()


@pytest.fixture(scope="session")
def store(tmp_path_factory, photographs, write_manifest):
    folder = tmp_path_factory.mktemp("cells")
    table = write_manifest(folder / "cells.csv", [(path, "ab"[n % 2]) for n, path in enumerate(photographs[:48])])
    store = hs.open_store(folder / "store")
    hs.ingest(store, "cells", hs.manifest(table), hs.IngestOptions(shard_bytes=400_000))
    return store


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads that wait for each other make small networks slow on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
