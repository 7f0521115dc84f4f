"""The main job over a store of which a fifth of the requests fail, and over one of which all do."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import numpy as np
import pytest

import hapistore as hs
from hapistore.errors import StoreError, TransientError
from hapistore.stores import FolderStore, open_store
from hapistore.stores.known_servers import find_capabilities
from hapistore.stores.remote import RemoteStore
from hapistore.stores.remote_options import RemoteOptions
from hapistore.stores.retrying import RetryOptions
from hapistore.stores.retrying_store import RetryingStore
from hapistore.stores.wrappers import FaultRates, FaultyStore

QUICK = RetryOptions(attempts=40, first_wait_s=0.002, longest_wait_s=0.02)
HASTY = RetryOptions(attempts=5, first_wait_s=0.01, longest_wait_s=0.05, give_up_after_s=5)


@pytest.fixture(autouse=True)
def quiet_throttle(monkeypatch):
    """Refusals slow the whole process down, which is tested elsewhere."""
    monkeypatch.setattr("hapistore.stores.throttle.Throttle.slow_down", lambda self, pause_s: None)


@pytest.fixture(scope="module")
def prefix():
    return hs.load_backbone("efficientnet_lite0").prefix("pool")


@pytest.fixture(scope="module")
def table(photographs, write_manifest, tmp_path_factory) -> Path:
    images = [(path, "cell") for path in photographs[:40]]
    return write_manifest(tmp_path_factory.mktemp("table") / "cells.csv", images)


def main_job(store, clean, table, prefix) -> dict[str, object]:
    """Ingest, extract and a full read over ``store``; what ``clean``, the same without faults, lists afterwards."""
    options = hs.IngestOptions(shard_bytes=200_000)
    version = hs.ingest(store, "cells", hs.manifest(table), options).version
    assert len(version.shards) >= 6
    hs.extract(store, "cells", prefix, codecs=["u8c+zstd", "f32"])
    view = hs.open_view(store, "cells", codec="f32")
    batches = list(hs.FeatureReader(view, hs.ReadOptions(batch_size=7, shuffle="none")).epoch(0))
    features = np.concatenate([batch.features for batch in batches])
    assert len(features) == 40
    names = [info.name for info in clean.list() if not info.name.startswith(("features/", "datasets/"))]
    return {"names": sorted(names), "features": features, "shards": [shard.images for shard in version.shards]}


@pytest.fixture(scope="module")
def undisturbed(table, prefix, tmp_path_factory):
    store = FolderStore(tmp_path_factory.mktemp("whole") / "store")
    return main_job(store, store, table, prefix)


def check_same(found, undisturbed):
    assert found["shards"] == undisturbed["shards"]
    assert found["names"] == undisturbed["names"]
    assert np.allclose(found["features"], undisturbed["features"], atol=1e-4 * np.abs(undisturbed["features"]).max())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fifth_of_the_requests_fail_in_every_way(tmp_path, table, prefix, undisturbed, seed):
    inner = FolderStore(tmp_path / "store")
    store = RetryingStore(FaultyStore(inner, FaultRates.evenly(0.2), seed=seed), QUICK)
    check_same(main_job(store, inner, table, prefix), undisturbed)
    assert hs.verify_store(inner).damaged == []


def through(proxy, prefix: str) -> RemoteStore:
    url = f"s3://hapistore-tests/{prefix}?endpoint={proxy.endpoint}&region=us-east-1"
    return RemoteStore(url, RemoteOptions(connect_timeout_s=2, stall_timeout_s=1))


def retrying(store: RemoteStore, options: RetryOptions) -> RetryingStore:
    return RetryingStore(store, options, find_capabilities=find_capabilities)


@pytest.mark.parametrize("kind", ["faulty_proxy", "faulty_link"])
def test_a_fifth_fails_on_the_wire(seaweedfs, request, table, prefix, undisturbed, kind):
    proxy, where = request.getfixturevalue(kind), f"wire/{uuid.uuid4().hex}"
    clean = open_store(seaweedfs.url(where))
    proxy.rate = 0.2
    check_same(main_job(retrying(through(proxy, where), QUICK), clean, table, prefix), undisturbed)
    assert all(proxy.done[way] for way in proxy.ways), proxy.done
    assert hs.verify_store(clean).damaged == []


@pytest.mark.parametrize(
    ("kind", "way", "cause"),
    [
        ("faulty_proxy", "refused", "503"),
        ("faulty_proxy", "throttled", "429"),
        ("faulty_proxy", "reset", "broke off"),
        ("faulty_proxy", "lost", "broke off"),
        ("faulty_proxy", "stalled", "did not answer in time"),
        ("faulty_link", "refused", "no connection"),
        ("faulty_link", "reset", "broke off"),
        ("faulty_link", "truncated", "broke off"),
        ("faulty_link", "stalled", "did not answer in time"),
        ("faulty_link", "garbled", "broke off|400|received other bytes|did not answer in time"),
    ],
)
def test_a_store_that_always_fails_is_given_up_in_time_with_its_cause(request, table, kind, way, cause):
    proxy = request.getfixturevalue(kind)
    proxy.rate, proxy.ways = 1.0, (way,)
    store = retrying(through(proxy, f"never/{uuid.uuid4().hex}"), HASTY)
    began = time.monotonic()
    with pytest.raises(StoreError, match=rf"failed \d+ times in .*({cause}).*check "):
        hs.ingest(store, "cells", hs.manifest(table))
    assert time.monotonic() - began < HASTY.give_up_after_s + 3


def test_a_garbled_upload_is_never_stored(seaweedfs, faulty_link):
    where = f"garbled/{uuid.uuid4().hex}"
    store, clean = through(faulty_link, where), open_store(seaweedfs.url(where))
    faulty_link.rate, faulty_link.ways = 1.0, ("garbled",)
    data = bytes(100_000)
    refused = 0
    for number in range(40):
        try:
            store.create(f"x{number}", data)
        except TransientError as error:
            refused += "received other bytes" in str(error)
    assert refused >= 5
    assert all(clean.get(info.name) == data for info in clean.list())
