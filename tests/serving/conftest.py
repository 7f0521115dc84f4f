"""Real services as processes, before a store of real photographs and the real weights of EfficientNet-Lite0."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hapistore as hs
from hapistore.catalog.reading import read_object
from hapistore.extraction import recipe_of
from hapistore.stores.retrying import RetryOptions
from hapistore_format import FeatureShardReader

_SERVERS = Path(__file__).resolve().parents[1] / "servers"
IMAGES = 24
PATIENT = RetryOptions(attempts=200, first_wait_s=0.05, longest_wait_s=1.0, give_up_after_s=240.0)


@pytest.fixture(scope="session", autouse=True)
def _servers():
    """The modules that start servers can be imported."""
    sys.path.insert(0, str(_SERVERS))
    yield
    sys.path.remove(str(_SERVERS))


@pytest.fixture(scope="session")
def lite0():
    """The prefix that is extracted with."""
    return hs.load_backbone("efficientnet_lite0").prefix("pool")


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory, photographs, imagenet, write_manifest):
    """A store with two datasets of photographs in several shards, and no features; not to be written to."""
    folder = tmp_path_factory.mktemp("fresh")
    store = hs.open_store(folder / "store")
    # JPEGs of the second are in the first too, and so are some of its shards.
    for name, images in (("cells", photographs[:IMAGES]), ("pets", [path for path, _ in imagenet])):
        table = write_manifest(
            folder / f"{name}.csv", [(path, "one" if i % 2 else "two") for i, path in enumerate(images)]
        )
        hs.ingest(store, name, hs.manifest(table), hs.IngestOptions(shard_bytes=200_000))
    return folder / "store"


@pytest.fixture(scope="session")
def expected(fresh_store, lite0, tmp_path_factory):
    """float32 [rows, 1280] by dataset and shard number, extracted without any service."""
    folder = tmp_path_factory.mktemp("expected")
    shutil.copytree(fresh_store, folder / "store")
    store = hs.open_store(folder / "store")
    found = {}
    for name in ("cells", "pets"):
        hs.extract(store, name, lite0, codecs=["f32"], options=hs.ExtractOptions(executor="torch"))
        view = hs.open_view(store, name, recipe=recipe_of(lite0)[0].digest, codec="f32")
        found[name] = [_features_of(view, number) for number in range(len(view.version.shards))]
    return found


def _features_of(view: hs.View, number: int) -> np.ndarray:
    return read_object(view.store, view.feature_names()[number], FeatureShardReader).features()


@pytest.fixture(scope="session")
def features_of() -> Callable[[hs.View, int], np.ndarray]:
    """float32 [rows, *shape] of one shard of a view, through its store."""
    return _features_of


@pytest.fixture(scope="session")
def copy_store(fresh_store, tmp_path_factory) -> Callable[[], hs.ObjectStore]:
    """Gives a store of its own each time, like `fresh_store`."""

    def copy() -> hs.ObjectStore:
        folder = tmp_path_factory.mktemp("served")
        shutil.copytree(fresh_store, folder / "store")
        return hs.open_store(folder / "store")

    return copy


@pytest.fixture
def store(copy_store) -> hs.ObjectStore:
    return copy_store()


@pytest.fixture(scope="module")
def serve(tmp_path_factory, environment) -> Iterator[Callable[..., Any]]:
    """Starts services, and ends them after the module's last test."""
    with ExitStack() as stack:

        def start(store: hs.ObjectStore, *options: object, **more: Any) -> Any:
            log = tmp_path_factory.mktemp("log") / "serve.log"
            running = import_module("serving").serving(
                store.url.removeprefix("file://"), *options, log=log, environment=environment, **more
            )
            return stack.enter_context(running)

        yield start


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[..., hs.ServiceClient]]:
    """Connects patient clients, and closes them after the module's last test."""
    with ExitStack() as stack:

        def to(url: str, **more: Any) -> hs.ServiceClient:
            return stack.enter_context(hs.connect(url, **{"retries": PATIENT, **more}))

        yield to
