"""A training job's view of a service: features that nobody has made yet, and that are there the second time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from torch.utils.data import DataLoader

import hapistore as hs
from hapistore.errors import NotFound
from hapistore_torch import FeaturePipe

TOLERANCE = 1e-3  # of features of magnitude 1 and above, computed by any executor


@pytest.fixture(scope="module")
def store(copy_store):
    """One for all tests here; each makes features of its own."""
    return copy_store()


@pytest.fixture(scope="module")
def client(serve, connect, store):
    return connect(serve(store).url)


@pytest.fixture(scope="module")
def recipe(client):
    """Of the network that is registered."""
    return client.register("efficientnet_lite0", cut="pool")


def _shards_made(client: hs.ServiceClient) -> int:
    return client.status()["counts"]["shards"]


def test_a_loop_trains_on_what_nobody_has_extracted(client, recipe, store, expected, features_of):
    view = client.view("cells", recipe=recipe, codec="f32")
    pipe = FeaturePipe(view, batch_size=5, shuffle="global", label="label", columns=("key",))
    seen = [key for _, _, columns in pipe for key in columns["key"]]
    assert sorted(seen) == sorted(set(seen)) and len(seen) == view.version.rows
    shards = len(view.version.shards)
    deadline = time.monotonic() + 30
    while _shards_made(client) < shards and time.monotonic() < deadline:
        time.sleep(0.02)  # a job is counted when it ends, and read when its shards are stored
    assert _shards_made(client) == shards > 2
    assert client.status()["counts"]["jobs"] <= shards

    # What the service made lies in the store, and is what an extraction beside it makes.
    stored = hs.open_view(store, "cells", recipe=recipe.digest, codec="f32")
    for number, features in enumerate(expected["cells"]):
        np.testing.assert_allclose(features_of(stored, number), features, atol=TOLERANCE)

    # The second epoch, and the second user, find it done.
    again = client.view("cells@1", recipe="efficientnet_lite0:pool", codec="f32")
    assert len(list(FeaturePipe(again, batch_size=5))) == len(list(pipe))
    assert _shards_made(client) == shards


def test_a_service_goes_where_a_store_goes(client, recipe, store):
    list(FeaturePipe(client.view("cells", recipe=recipe), batch_size=8))
    view = hs.open_view(client, "cells", codec="u8c+zstd")  # as of any store, now that they are there
    assert view.recipe == recipe
    assert len(list(FeaturePipe(view, batch_size=8))) == 3
    names = [info.name for info in client.list()]
    assert names == [info.name for info in store.list()]
    name = next(name for name in names if name.startswith("images/"))
    assert client.get(name) == store.get(name) and client.head(name) == store.head(name)
    assert client.get_ranges(name, [(3, 10), (0, 1)]) == store.get_ranges(name, [(3, 10), (0, 1)])
    with pytest.raises(hs.HapistoreError, match="read only"):
        client.put(name, b"")


def test_rows_come_in_order_while_they_are_made(client, recipe, expected):
    for keep in (False, True, True):  # streamed; kept; and then stored
        view = client.view("pets", recipe=recipe, codec="f32", keep=keep)
        for number, features in enumerate(expected["pets"]):
            chunks = list(client.rows(view, number))
            assert np.concatenate([chunk.rows for chunk in chunks]).tolist() == list(range(len(features)))
            np.testing.assert_allclose(np.concatenate([c.features for c in chunks]), features, atol=TOLERANCE)
    rest = list(client.rows(view, 0, start=1))
    assert np.concatenate([chunk.rows for chunk in rest]).tolist() == list(range(1, len(expected["pets"][0])))


def test_a_shard_that_many_want_is_made_once(client, recipe, features_of):
    view = client.view("cells", recipe=recipe, codec="bf16", keep=False)
    before = client.status()["counts"]
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(features_of(view, 0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(np.array_equal(one, found[0]) for one in found)
    counts = client.status()["counts"]
    assert (counts["shards"] - before["shards"], counts["failed"]) == (1, 0)


def test_streaming_draws_other_features_in_every_epoch_and_keeps_none(client, recipe, store, lite0, features_of):
    before = [info.name for info in store.list()]

    def epoch(number: int, seed: int = 0) -> np.ndarray:
        view = client.view(
            "pets", recipe=recipe, codec="f16", keep=False, augmentation="crop,flip", epoch=number, seed=seed
        )
        pipe = FeaturePipe(view, batch_size=64, shuffle="none", label=None)
        return np.concatenate([features.numpy() for features in pipe])

    first, again, second, other = epoch(0), epoch(0), epoch(1), epoch(0, seed=1)
    np.testing.assert_allclose(first, again, atol=0.02)
    assert np.abs(first - second).max() > 0.1 and np.abs(first - other).max() > 0.1
    assert [info.name for info in store.list()] == before

    # The very variants that an extraction beside the store makes.
    hs.extract(
        store, "pets", lite0, codecs=["f16"],
        options=hs.ExtractOptions(executor="torch", augment=hs.AugmentOptions(variants=2, colour_percent=(0, 0, 0))),
    )  # fmt: skip
    drawn = hs.open_view(store, "pets", recipe=recipe.digest, codec="f16", variants=2)
    stored = [features_of(drawn.through(drawn.variants[1]), n) for n in range(len(drawn.version.shards))]
    np.testing.assert_allclose(second, np.concatenate(stored), atol=0.02)


def test_whoever_may_read_the_bucket_reads_what_is_there_from_it(serve, connect, recipe, copy_store):
    store = copy_store()
    served = serve(store)
    client = connect(served.url, bucket=store)
    assert client.register("efficientnet_lite0", cut="pool") == recipe
    view = client.view("cells", recipe=recipe)
    list(FeaturePipe(view, batch_size=8))  # the service makes them
    assert served.end() == 0
    assert len(list(FeaturePipe(view, batch_size=8))) == 3  # and is not needed any more


def test_errors_say_what_is_wrong_and_the_service_goes_on(client, recipe, features_of):
    with pytest.raises(hs.UsageError, match="nothing"):
        client.view("nothing")
    with pytest.raises(hs.UsageError, match="names no recipe"):
        client.view("cells", recipe="abc")
    view = client.view("cells", recipe=recipe)
    with pytest.raises(hs.HapistoreError, match="no such|not|no object"):
        client.get(f"features/{'0' * 64}/u8c/{'0' * 64}.arrow")
    assert features_of(view, 0).shape[1:] == (1280,)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_loader_workers_read_through_a_service(client, recipe, start):
    view = client.view("cells", recipe=recipe, codec="u8c")
    pipe = FeaturePipe(view, batch_size=5, columns=("key",))
    loader = DataLoader(pipe, batch_size=None, num_workers=2, multiprocessing_context=start, timeout=120)
    keys = [key for _, _, columns in loader for key in columns["key"]]
    assert len(keys) == len(set(keys)) == view.version.rows


def test_errors_cross_to_a_forked_process(client, recipe):
    view = client.view("cells", recipe=recipe, codec="u8c")
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        with pytest.raises(NotFound, match="there is no object"):
            pool.submit(client.get, f"images/{'0' * 64}.arrow").result(timeout=60)
        with pytest.raises(hs.UsageError, match="forkserver"):
            pool.submit(_first_rows, client, view).result(timeout=60)


def test_a_lock_held_at_the_fork_does_not_hold_the_child(client):
    with client.connection._lock, ProcessPoolExecutor(1, get_context("fork")) as pool:
        status = pool.submit(client.status).result(timeout=60)
        pool.submit(client.close).result(timeout=60)
    assert status["tenant"] == "anybody"


def _first_rows(client: hs.ServiceClient, view: hs.View) -> object:
    return next(client.rows(view, 0))
