"""The main job through its verb leaves in a bucket what it leaves in a folder."""

from __future__ import annotations

import json
import uuid

import pytest

from hapistore.stores import open_store

IMAGES = 150


@pytest.fixture(scope="module")
def in_folder(hapistore, tmp_path_factory):
    store = tmp_path_factory.mktemp("demo") / "store"
    return run(hapistore, str(store)), open_store(store)


def run(hapistore, url: str, *more: str, **options: object) -> dict[str, object]:
    done = hapistore("demo", "--json", "--images", IMAGES, "--store", url, *more, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("kind", "more"), [("seaweedfs", ()), ("swift", ("--single-writer",))])
def test_a_bucket_holds_what_a_folder_does(hapistore, request, in_folder, kind, more):
    server, (expected, folder) = request.getfixturevalue(kind), in_folder
    url = server.url(f"demo/{uuid.uuid4().hex}")
    found = run(hapistore, url, *more, variables=server.environment)
    assert (found["images"], found["images_extracted"]) == (IMAGES, IMAGES)
    for name in ("bytes_per_image_raw", "test_accuracy", "test_accuracy_full_precision"):
        assert found[name] == pytest.approx(expected[name], abs=0.05)
    bucket = open_store(url)
    names = [info.name for info in folder.list()]
    assert [info.name for info in bucket.list()] == names
    shards = [name for name in names if name.startswith("images/")]
    assert shards
    for name in shards:
        assert bucket.get(name) == folder.get(name)
