"""Twenty tenants of one service at once: everybody gets what is right, and nothing is extracted twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import hapistore as hs
from hapistore.catalog import resolve_version
from hapistore.service.tenancy.new_token import add_token

TENANTS = 20
CUTS = ("pool", "map")  # the map's mean over places is what is pooled


def pooled(features: np.ndarray) -> np.ndarray:
    return features if features.ndim == 2 else features.mean(axis=(2, 3))


def test_twenty_tenants_at_once(serve, connect, store, tmp_path, expected, features_of):
    tokens = [add_token(tmp_path / "tenants.toml", f"tenant{number:02d}", {}) for number in range(TENANTS)]
    service = serve(store, "--tokens", tmp_path / "tenants.toml")
    clients = [connect(service.url, token=token) for token in tokens]
    recipes = [clients[0].register("efficientnet_lite0", cut=cut) for cut in CUTS]
    begin = threading.Barrier(TENANTS)

    def work(number: int) -> None:
        """First a shard that all want, then a dataset by a network, which only some want."""
        client, dataset = clients[number], ("cells", "pets")[number // 2 % 2]
        view = client.view(dataset, recipe=recipes[number % 2], codec="f32")
        shared = client.view("cells", recipe=recipes[0], codec="f32")
        begin.wait(60)
        np.testing.assert_allclose(features_of(shared, 0), expected["cells"][0], atol=1e-3)
        reader = hs.FeatureReader(view, hs.ReadOptions(shuffle="none", label=None))
        found = np.concatenate([pooled(batch.features) for batch in reader.epoch(0)])
        np.testing.assert_allclose(found, np.concatenate(expected[dataset]), atol=1e-3)

    with ThreadPoolExecutor(TENANTS) as pool:
        for done in [pool.submit(work, number) for number in range(TENANTS)]:
            done.result()
    counts = clients[0].status()["counts"]
    stored = sum(1 for _ in store.list("features/"))
    assert (counts["shards"], counts["failed"]) == (stored, 0)
    assert counts["shared"] >= TENANTS - 1  # of the shard that all wanted
    shards = {shard.images for name in ("cells", "pets") for shard in resolve_version(store, name).shards}
    assert stored == len(CUTS) * len(shards)
