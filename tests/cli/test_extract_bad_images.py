"""``hapistore extract`` over images that came in by their headers and cannot be decoded."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hapistore as hs
from hapistore.catalog.copying import copy_dataset

COMMAND = ("extract", "mixed", "--backbone", "efficientnet_lite0", "--codec", "f32", "--executor", "torch")
BROKEN = {"0000": "undecodable", "0001": "undecodable"}


@pytest.fixture(scope="module")
def store(succeed, imagenet, photographs, write_manifest, tmp_path_factory):
    """Two of the JPEGs with an impossible middle, but whole headers and ends."""
    folder = tmp_path_factory.mktemp("mixed")
    images = [path for path, _ in imagenet[:4]] + photographs[:4]
    copies = []
    for number, image in enumerate(images):
        data = image.read_bytes()
        middle = len(data) // 2
        if number in (0, 1):
            data = data[:middle] + b"\xff\xc4" * 100 + data[middle + 200 :]
        copies.append(folder / image.name)
        copies[-1].write_bytes(data)
    write_manifest(folder / "mixed.csv", [(path, "x") for path in copies])
    succeed("ingest", "mixed", folder / "mixed.csv", "--shard-size", "200KB", "--store", folder / "store")
    return folder / "store"


def key_numbers(images) -> dict[str, str]:
    return {image["key"][:4]: image["reason"] for image in images}


def test_bad_images_cost_their_rows(answer, hapistore, succeed, store, tmp_path, files_below):
    first = hapistore(*COMMAND, "--store", store)
    assert first.returncode == 0, first.stderr
    lines = [line for line in first.stderr.splitlines() if not line.startswith("extract mixed: ")]  # of progress
    assert lines[0] == "warning: 2 images have no features:"
    assert lines[1].startswith("  0000/") and lines[1].endswith("[undecodable]")
    assert lines[2].startswith("  0001/") and lines[2].endswith("[undecodable]")
    assert "--retry-bad" in lines[3]
    stored = files_below(store)

    again = answer(*COMMAND, "--store", store)
    assert (again["images"], again["shards_extracted"]) == (0, 0)
    assert key_numbers(again["left_out"]) == BROKEN

    retried = answer(*COMMAND, "--retry-bad", "--store", store)
    assert 0 < retried["images"] < 8
    assert key_numbers(retried["left_out"]) == BROKEN and all(image["detail"] for image in retried["left_out"])
    assert files_below(store) == stored

    (features,) = answer("inspect", "mixed", "--store", store)["features"]
    assert key_numbers(features["without_features"]) == BROKEN
    assert "none of 2: 0000/" in succeed("inspect", "mixed", "--store", store).stdout
    here, copy = hs.open_store(store), hs.open_store(tmp_path / "copy")
    copy_dataset(here, copy, "mixed")
    assert hs.open_view(copy, "mixed").missing == hs.open_view(here, "mixed").missing
    assert hs.verify_store(copy).damaged == []


def test_ctrl_c_ends_the_child_too(environment, store):
    arguments = [*COMMAND[:-2], "--weights", "random", "--child", "--store", str(store)]
    process = subprocess.Popen(
        [sys.executable, "-m", "hapistore", *arguments], env=environment, stderr=subprocess.PIPE, text=True
    )
    children: list[int] = []
    deadline = time.monotonic() + 60
    while not children:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
        children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what was stored stays" in errors
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.01)
