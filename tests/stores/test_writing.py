"""Files are written whole, whichever way around the page cache they take."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hapistore.stores.writing import write_synced

LARGE = 16 << 20


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, LARGE + (5 << 20), dtype=np.uint8)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1, LARGE - 1, LARGE, LARGE + 1, LARGE + 4096, LARGE + (4 << 20)])
@pytest.mark.parametrize("offset", [0, 1, 512])
def test_every_size_and_alignment(tmp_path, data, size, offset):
    start = -data.ctypes.data % 4096 + offset
    view = memoryview(data)[start : start + size]
    write_synced(tmp_path / "file", view)
    assert (tmp_path / "file").read_bytes() == view


def test_a_file_that_is_there_stays(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError):
        write_synced(tmp_path / "file", b"theirs")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="needs a file system that knows no direct writing")
def test_a_file_system_without_direct_writing(data):
    path = Path(f"/dev/shm/hapistore-{os.getpid()}")
    try:
        write_synced(path, memoryview(data))
        assert np.array_equal(np.fromfile(path, np.uint8), data)
    finally:
        path.unlink()
