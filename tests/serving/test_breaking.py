"""Links and services that break: every row still comes, exactly once, with the bytes that were sent."""

from __future__ import annotations

import os
import random
import threading
import time
from importlib import import_module

import numpy as np
import pytest

import hapistore as hs
from hapistore.catalog import verify_store
from hapistore.stores.retrying import RetryOptions
from hapistore_torch import FeaturePipe

TOLERANCE = 1e-3
KILLS = int(os.environ.get("HAPISTORE_KILLS", "3"))
WAYS = ("503", "reset", "truncated", "stalled")


def _epoch(view: hs.View, **options: object) -> tuple[list[str], list[np.ndarray]]:
    """Keys and features of an epoch, in the order in which they come."""
    keys, rows = [], []
    for features, _, columns in FeaturePipe(view, batch_size=7, columns=("key",), **options):
        keys += list(columns["key"])
        rows += list(features.numpy())
    return keys, rows


@pytest.fixture
def by_key(expected):
    """float32 [rows, 1280]: what the features are, in the order of rows, which is that of keys."""
    return np.concatenate(expected["cells"])


@pytest.fixture(scope="module")
def served_store(copy_store):
    """The store of the service that breaks' tests share."""
    return copy_store()


@pytest.fixture(scope="module")
def served(serve, served_store):
    return serve(served_store)


@pytest.mark.parametrize("rates", [{way: 0.2} for way in WAYS] + [dict.fromkeys(WAYS, 0.2)], ids=[*WAYS, "all"])
def test_every_row_comes_once_through_a_link_that_breaks(served, served_store, connect, by_key, rates):
    for info in list(served_store.list("features/")):
        served_store.delete(info.name)  # so that they are made while the link breaks
    recipe = connect(served.url).register("efficientnet_lite0", cut="pool")
    streams = import_module("faulty_streams")
    with streams.faulty_streams(served.location, rates, seed=7, most_bytes=1 << 16) as proxy:
        client = connect(proxy.location)
        view = client.view("cells", recipe=recipe, codec="f32")
        broken = 0
        for number in range(40):
            client.close()  # a 503 is a connection's, the rest is a call's
            keys, rows = _epoch(view, shuffle="none")
            assert keys == sorted(keys)
            assert len(set(keys)) == len(keys) == view.version.rows
            np.testing.assert_allclose(np.stack(rows), by_key, atol=TOLERANCE)
            streamed = client.view("cells", recipe=recipe, codec="f32", keep=False, epoch=number)
            chunks = list(client.rows(streamed, number % len(view.version.shards)))
            row_numbers = np.concatenate([chunk.rows for chunk in chunks]).tolist()
            assert row_numbers == list(range(view.version.shards[number % len(view.version.shards)].rows))
            broken = sum(proxy.done[way] for way in rates)
            if number >= 1 and broken >= 4:
                break
        assert broken >= 4, "the link hardly broke: nothing was tested"


def test_rows_go_on_where_a_killed_service_stopped(serve, connect, store, by_key):
    dice = random.Random(5)
    (port,) = import_module("processes").free_ports(1)
    served = serve(store, port=port)
    client = connect(served.url)
    recipe = client.register("efficientnet_lite0", cut="pool")
    view = client.view("cells", recipe=recipe, codec="f32")
    ended = threading.Event()
    kills = 0

    def kill_again_and_again() -> None:
        nonlocal served, kills
        while kills < KILLS:
            time.sleep(dice.uniform(0.2, 4.0))
            served.kill()
            kills += 1
            served = serve(store, port=port)
        ended.set()

    killer = threading.Thread(target=kill_again_and_again)
    killer.start()
    epochs = 0
    while not ended.is_set() or not epochs:
        for number in range(len(view.version.shards)):
            for keep in (True, False):
                one = client.view("cells", recipe=recipe, codec="f32", keep=keep)
                rows = np.concatenate([chunk.rows for chunk in client.rows(one, number)])
                assert rows.tolist() == list(range(view.version.shards[number].rows))
        keys, features = _epoch(view, shuffle="none")
        assert len(set(keys)) == len(keys) == view.version.rows
        np.testing.assert_allclose(np.stack(features), by_key, atol=TOLERANCE)
        epochs += 1
    killer.join()
    assert kills == KILLS
    assert not verify_store(store).damaged


def test_sigterm_finishes_what_was_begun(serve, connect, store, features_of):
    served = serve(store)
    client = connect(served.url)
    recipe = client.register("efficientnet_lite0", cut="pool")
    view = client.view("cells", recipe=recipe, codec="f32")
    found: list[np.ndarray] = []
    asking = threading.Thread(target=lambda: found.append(features_of(view, 0)))
    asking.start()
    deadline = time.monotonic() + 60
    while not client.status()["lanes"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert served.end() == 0
    asking.join()
    assert found[0].shape[1:] == (1280,)
    assert hs.open_store(store.url).head(view.feature_names()[0]).bytes > 0


def test_a_tenant_that_may_ends_the_service(serve, connect, store):
    served = serve(store)
    assert connect(served.url).drain() == {"draining": True}
    assert served.process.wait(60) == 0


def test_a_service_that_is_not_there_is_told_in_one_line(connect):
    (port,) = import_module("processes").free_ports(1)
    client = connect(f"grpc://127.0.0.1:{port}", retries=RetryOptions(attempts=2, first_wait_s=0.01))
    with pytest.raises(hs.HapistoreError, match="failed 2 times") as failed:
        client.status()
    assert "\n" not in str(failed.value)
