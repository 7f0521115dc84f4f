"""Importing hapistore costs little, and reading features never costs torch: each proven in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hapistore.catalog import ensure_marker, latest_version, register_recipe
from hapistore.catalog.names import features_name
from hapistore.stores import FolderStore
from hapistore_format import Recipe, write_feature_shard, write_weights
from hapistore_format.weights import RawTensor

REPORT = "\nimport sys; print('LOADED', *sorted({m.partition('.')[0] for m in sys.modules}))\n"


@pytest.fixture(scope="module")
def modules_after(environment):
    """Top-level modules that are loaded once a program has run."""

    def run(program: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", program + REPORT], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return set(done.stdout.rpartition("LOADED")[2].split())

    return run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for number in range(4):
        path = root / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    return root


@pytest.fixture(scope="module")
def small_store(tmp_path_factory, photos):
    """A folder store with a dataset, made without torch, and features of it."""
    from hapistore import image_folder, ingest

    store = FolderStore(tmp_path_factory.mktemp("light") / "store")
    ensure_marker(store)
    ingest(store, "pets", image_folder(photos))
    digest, weights = write_weights({"w": RawTensor("F32", (1,), bytes(4))})
    recipe = Recipe(architecture="tiny", weights=digest, cut="end", preprocess={}, shape=(3,))
    register_recipe(store, recipe, weights)
    for shard in latest_version(store, "pets").shards:
        features = np.zeros((shard.rows, 3), np.float32)
        data = write_feature_shard(features, codec="f32", recipe=recipe.digest, images=shard.images, provenance={})
        store.create(features_name(recipe.digest, "f32", shard.images), data)
    return store.url


def test_importing_hapistore_is_cheap(modules_after):
    heavy = {"torch", "pyarrow", "numba", "PIL", "numpy", "xxhash", "zstandard", "click", "rich"}
    assert not heavy & modules_after("import hapistore")


@pytest.mark.parametrize("executor", ["openvino", "onnx_runtime"])
def test_an_executors_process_has_torch_only_where_torch_computes(modules_after, executor):
    package = "hapistore.extraction.executors"
    found = modules_after(f"import {package}.child_process, {package}.{executor}")
    assert "torch" not in found and "hapistore_format" in found


def test_the_probe_sees_what_is_loaded(modules_after):
    assert "numpy" in modules_after("import hapistore; hapistore.FeatureReader")


def test_opening_a_store_needs_neither_torch_nor_an_image_library(modules_after, small_store):
    loaded = modules_after(f"import hapistore; hapistore.open_store({json.dumps(small_store)}).url")
    assert not {"torch", "PIL", "click", "rich"} & loaded


def test_reading_an_epoch_needs_no_torch_and_no_image_library(modules_after, small_store):
    program = f"""
import hapistore as hs
view = hs.open_view(hs.open_store({json.dumps(small_store)}), "pets")
batches = list(hs.FeatureReader(view, hs.ReadOptions(batch_size=3)).epoch(0))
assert sum(len(batch.rows) for batch in batches) == 4
"""
    assert not {"torch", "PIL", "click", "rich"} & modules_after(program)


def test_a_client_of_a_service_needs_no_torch_and_no_image_library(modules_after):
    program = """
import hapistore as hs
client = hs.connect("grpc://127.0.0.1:1")
assert client.connection.url and hs.ServiceClient.view
import hapistore.service.relay, hapistore.service.plans.client_plan
"""
    assert not {"torch", "PIL", "click", "rich"} & modules_after(program)


@pytest.mark.parametrize("verb", ["ls", "inspect", "verify", "ingest", "convert", "report"])
def test_verbs_that_compute_nothing_need_no_torch(modules_after, small_store, photos, tmp_path, verb):
    arguments = {
        "inspect": ["pets"],
        "ingest": ["pets", str(photos)],
        "convert": ["pets", "--layout", "arrow"],
        "report": ["pets", "--out", str(tmp_path / "report.html")],
    }.get(verb, [])
    program = f"""
from hapistore.cli import main
try:
    main({[verb, *arguments, "--store", small_store]!r}, standalone_mode=False)
except SystemExit as done:
    assert not done.code, done.code
"""
    loaded = modules_after(program)
    assert "click" in loaded
    assert not {"torch", "torchvision"} & loaded


@pytest.mark.parametrize("verb", ["extract", "demo"])
def test_help_of_a_verb_that_computes_needs_no_torch(modules_after, verb):
    program = f"""
from hapistore.cli import main
try:
    main([{verb!r}, "--help"], standalone_mode=False)
except SystemExit as done:
    assert not done.code
"""
    assert "torch" not in modules_after(program)
