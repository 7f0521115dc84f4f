"""``hapistore verify``: one bit in any kind of object is found, named, and can be mended."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from hapistore.catalog import latest_version, register_recipe
from hapistore.catalog.names import features_name, parse_name
from hapistore.stores import open_store
from hapistore_format import Recipe, write_feature_shard, write_weights
from hapistore_format.weights import RawTensor

KINDS = ("marker", "version", "quarantine", "images", "annotations", "recipe", "weights", "features")


@pytest.fixture(scope="module")
def whole(succeed, write_source, tmp_path_factory) -> Path:
    """A folder with ``source``, and with ``store``, which holds at least one object of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    (write_source(folder / "source", 8, side=16) / "cat/bad.jpg").write_bytes(b"no image")
    succeed("ingest", "pets", "source", "--store", "store", "--shard-size", "3KiB", cwd=folder)
    store = open_store(folder / "store")
    digest, weights = write_weights({"w": RawTensor("F32", (2,), np.float32([1, 2]).tobytes())})
    recipe = Recipe(architecture="tiny", weights=digest, cut="pool", preprocess={}, shape=(5,))
    register_recipe(store, recipe, weights)
    for shard in latest_version(store, "pets").shards:
        features = np.random.default_rng(0).random((shard.rows, 5), dtype=np.float32)
        data = write_feature_shard(features, codec="f32", recipe=recipe.digest, images=shard.images, provenance={})
        store.create(features_name(recipe.digest, "f32", shard.images), data)
    return folder


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def flip(store: Path, kind: str) -> str:
    """Turn one bit of the first object of a kind; returns its name."""
    names = sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())
    name = next(name for name in names if (parsed := parse_name(name)) and parsed.kind == kind)
    data = bytearray((store / name).read_bytes())
    place = random.Random(kind).randrange(len(data))
    data[place] ^= 1 << place % 8
    (store / name).write_bytes(data)
    return name


def test_a_whole_store(answer, succeed, whole, files_below):
    found = answer("verify", "--store", whole / "store")
    files = files_below(whole / "store")
    assert {parse_name(name).kind for name in files} == set(KINDS)
    assert found == {
        "objects": len(files),
        "bytes": sum(map(len, files.values())),
        "damaged": [],
        "unknown": [],
        "set_aside": [],
    }
    assert succeed("verify", "--store", whole / "store").stdout.endswith(": all sound\n")


def test_one_bit_of_each_kind(run_all, whole, tmp_path):
    names = {}
    for kind in KINDS:
        shutil.copytree(whole / "store", tmp_path / kind)
        names[kind] = flip(tmp_path / kind, kind)
    for kind, run in run_all({kind: ["verify", "--store", tmp_path / kind, "--json"] for kind in KINDS}).items():
        assert run.returncode == 1, kind
        (damage,) = json.loads(run.stdout)["damaged"]
        assert damage["name"] == names[kind]
        assert set(damage) == {"name", "code", "detail"} and damage["code"] != "missing"


def test_text_names_what_is_damaged_missing_or_unknown(hapistore, copy):
    store = copy / "store"
    damaged = flip(store, "features")
    lost = next(store.glob("annotations/*"))
    lost.unlink()
    (store / "images/notes.txt").write_text("x")
    finished = hapistore("verify", "--store", store)
    lines = finished.stdout.splitlines()
    assert finished.returncode == 1
    assert lines[0].startswith(f"{damaged}: ") and lines[0].endswith("]")
    assert lines[1] == f"annotations/{lost.name}: pets@1 needs it and it is not there [missing]"
    assert lines[2].endswith(": 2 damaged") and len(lines) == 3
    assert finished.stderr == "note: images/notes.txt is no object of hapistore's\n"


def test_images_set_aside_come_back_bit_for_bit(hapistore, succeed, copy, files_below):
    before = files_below(copy / "store")
    name = flip(copy / "store", "images")
    broken = (copy / "store" / name).read_bytes()
    finished = hapistore("verify", "--set-aside", "--json", "--store", "store", cwd=copy)
    assert finished.returncode == 1
    assert json.loads(finished.stdout)["set_aside"] == [f"damaged/{name}"]
    after = files_below(copy / "store")
    assert name not in after and after.pop(f"damaged/{name}") == broken
    assert hapistore("verify", "--store", "store", cwd=copy).returncode == 1
    succeed("ingest", "pets", "source", "--store", "store", "--shard-size", "3KiB", cwd=copy)
    shutil.rmtree(copy / "store/damaged")
    assert files_below(copy / "store") == before
    assert succeed("verify", "--store", "store", cwd=copy).stdout.endswith(": all sound\n")


@pytest.mark.parametrize("kind", ["version", "marker"])
def test_what_cannot_be_made_again_stays_where_it_is(hapistore, copy, kind):
    name = flip(copy / "store", kind)
    finished = hapistore("verify", "--set-aside", "--json", "--store", copy / "store")
    assert finished.returncode == 1
    found = json.loads(finished.stdout)
    assert [damage["name"] for damage in found["damaged"]] == [name] and found["set_aside"] == []
    assert (copy / "store" / name).is_file()
