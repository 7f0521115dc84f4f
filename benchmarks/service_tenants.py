"""Twenty tenants of one service whose memory is for three networks: ``python -m benchmarks.service_tenants``.

Each has a token, a dataset of its own (photographs, several shards) and one of five networks; and all want one shard
more, by the same recipe, first. In each round on fresh stores: what each one's work takes alone, its network loaded,
and then all at once, by a service that has just started. A tenant's ideal is when it would end if all that have not
ended shared the machine evenly: its work is its own, as long as that takes alone, its part of loading its network once,
and a twentieth of the shard that all want. Before the rounds each network is run once, by another service: converting
and measuring it are done once on a machine. Checked too: that every feature agrees with a local extraction by eager
torch, within what the precision allows, and that nothing was extracted twice. Needs
``pip install '.[bench,cpu,serve]'`` and torchvision. Twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import hapistore as hs
from hapistore.catalog import resolve_version
from hapistore.extraction import recipe_of
from hapistore.extraction.executors.agreement import Agreement, compare
from hapistore.service.client import ServiceClient, connect
from hapistore.service.tenancy.new_token import add_token

from .environment import write_result
from .fair_share import LOADING, PRECISION, SHARED, judged
from .photographs import write_photographs
from .service_process import service
from .torchvision_shim import import_torchvision

NETWORKS = (  # name, cut, weights
    ("efficientnet_lite0", "pool", "pretrained"),
    ("torchvision/resnet18", None, "random"),
    ("efficientnet_lite0", "map", "pretrained"),
    ("torchvision/mobilenet_v3_small", None, "random"),
    ("torchvision/resnet50", None, "random"),
)
CODEC = "f32"
FEATURES = "features/"  # all objects whose names begin so
WARM = "warm"  # a dataset that is read only so that networks are loaded
TENANTS, SHARD_IMAGES = 20, 12
_READING = hs.ReadOptions(shuffle="none", label=None)


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One of them: which network's features of its own dataset it wants, by the number in `NETWORKS`."""

    name: str
    token: str
    network: int
    recipes: tuple[str, ...]

    @property
    def label(self) -> str:
        name, cut, _ = NETWORKS[self.network]
        return name if cut is None else f"{name}:{cut}"

    def read(self, client: ServiceClient, dataset: str, network: int) -> np.ndarray:
        """Features of a dataset in row order, made where they are not there: float32 [rows, *shape]."""
        view = client.view(dataset, recipe=self.recipes[network], codec=CODEC)
        return np.concatenate([batch.features for batch in hs.FeatureReader(view, _READING).epoch(0)])


def ingest_all(folder: Path, images: int, tenants: int) -> None:
    """A dataset for each tenant, named like it, and the one that all want, in one shard."""
    write_photographs(folder / "photographs", images * tenants + 2 * SHARD_IMAGES)
    paths = sorted((folder / "photographs").rglob("*.jpg"), key=lambda path: path.name)
    store = hs.open_store(folder / "store")
    sets = {f"tenant{number:02d}": paths[number * images : (number + 1) * images] for number in range(tenants)}
    sets |= {SHARED: paths[-SHARD_IMAGES:], WARM: paths[-2 * SHARD_IMAGES : -SHARD_IMAGES]}
    for name, some in sets.items():
        with open(folder / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([["path", "key"], *([path, path.name] for path in some)])
        whole = sum(path.stat().st_size for path in some)
        shard_bytes = whole * 2 if name in (SHARED, WARM) else whole * SHARD_IMAGES // images
        hs.ingest(store, name, hs.manifest(folder / f"{name}.csv"), hs.IngestOptions(shard_bytes=shard_bytes))


def expect(folder: Path, tenants: Sequence[Tenant]) -> dict[str, np.ndarray]:
    """Features by dataset, extracted here by eager torch, without a service."""
    shutil.copytree(folder / "store", folder / "expected")
    store, found = hs.open_store(folder / "expected"), {}
    for dataset, network in [(SHARED, 0), *((tenant.name, tenant.network) for tenant in tenants)]:
        prefix = _prefix(network)
        hs.extract(store, dataset, prefix, codecs=[CODEC], options=hs.ExtractOptions(executor="torch"))
        view = hs.open_view(store, dataset, recipe=recipe_of(prefix)[0].digest, codec=CODEC)
        found[dataset] = np.concatenate([batch.features for batch in hs.FeatureReader(view, _READING).epoch(0)])
    return found


def _prefix(network: int) -> Any:
    name, cut, weights = NETWORKS[network]
    return hs.load_backbone(name, weights=weights).prefix(cut)


def register(client: ServiceClient) -> None:
    """Tell the service of all networks."""
    for name, cut, weights in NETWORKS:
        client.register(name, cut=cut, weights=weights, precision=PRECISION)


def run_each_network(folder: Path, tenants: Sequence[Tenant], options: list[object]) -> None:
    """So that this machine knows them."""
    shutil.copytree(folder / "store", folder / "first")
    with (
        service(folder / "first", folder / "first.log", *options) as url,
        connect(url, token=tenants[0].token) as client,
    ):
        register(client)
        for network in range(len(NETWORKS)):
            tenants[0].read(client, WARM, network)
    shutil.rmtree(folder / "first")


def measure_alone(folder: Path, tenants: Sequence[Tenant], options: list[object]) -> dict[str, float]:
    """Seconds of each tenant's own work with nobody else there, of the shared shard, and of loading each network."""
    shutil.copytree(folder / "store", folder / "alone")
    seconds: dict[str, float] = {}
    with service(folder / "alone", folder / "alone.log", *options) as url:
        for tenant in sorted(tenants, key=lambda one: one.network):
            with connect(url, token=tenant.token) as client:

                def timed(dataset: str, tenant: Tenant = tenant, client: ServiceClient = client) -> float:
                    began = time.perf_counter()
                    tenant.read(client, dataset, tenant.network)
                    return time.perf_counter() - began

                if not seconds:
                    register(client)
                first = LOADING.format(tenant.network) not in seconds
                cold = timed(WARM) if first else 0.0
                if SHARED not in seconds:
                    seconds[SHARED] = timed(SHARED)
                seconds[tenant.name] = timed(tenant.name)
                if first:
                    one_shard = seconds[tenant.name] * SHARD_IMAGES / _rows(folder, tenant.name)
                    seconds[LOADING.format(tenant.network)] = max(0.0, cold - one_shard)
    shutil.rmtree(folder / "alone")
    return seconds


def _rows(folder: Path, dataset: str) -> int:
    return resolve_version(hs.open_store(folder / "store"), dataset).rows


def measure_together(
    folder: Path, tenants: Sequence[Tenant], options: list[object], expected: dict[str, np.ndarray]
) -> dict[str, Any]:
    """All at once, on a store without features: when each had all of its own, and what the service did."""
    shutil.copytree(folder / "store", folder / "together")
    begin = threading.Barrier(len(tenants) + 1)

    def work(tenant: Tenant, url: str) -> tuple[float, Agreement, Agreement]:
        with connect(url, token=tenant.token) as client:
            begin.wait()
            began = time.perf_counter()
            shared = tenant.read(client, SHARED, 0)
            own = tenant.read(client, tenant.name, tenant.network)
            seconds = time.perf_counter() - began
        return seconds, compare(shared, expected[SHARED]), compare(own, expected[tenant.name])

    with (
        service(folder / "together", folder / "together.log", *options) as url,
        connect(url, token=tenants[0].token) as client,
        ThreadPoolExecutor(len(tenants)) as pool,
    ):
        register(client)
        store = hs.open_store(folder / "together")
        working = [pool.submit(work, tenant, url) for tenant in tenants]
        begin.wait()
        ended = [one.result() for one in working]
        status = client.status()
    distinct = sum(1 for _ in store.list(FEATURES))
    shutil.rmtree(folder / "together")
    return {
        "seconds": {tenant.name: seconds for tenant, (seconds, _, _) in zip(tenants, ended, strict=True)},
        "agreements": {tenant.name: both for tenant, (_, *both) in zip(tenants, ended, strict=True)},
        "extracted": status["counts"]["shards"],
        "shared_asks": status["counts"]["shared"],
        "distinct": distinct,
        "memory": status["memory"],
        "most_running": status["most_running"],
        "evicted": status["evicted"],
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tenants", type=int, default=TENANTS)
    parser.add_argument("--images", type=int, default=96, help="of each tenant's own dataset")
    parser.add_argument("--gib", type=float, default=2.0, help="memory of extraction")
    given = parser.parse_args()
    import_torchvision()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        ingest_all(folder, given.images, given.tenants)
        recipes = tuple(recipe_of(_prefix(number), precision=PRECISION)[0].digest for number in range(len(NETWORKS)))
        tenants = [
            Tenant(
                name=f"tenant{number:02d}",
                token=add_token(folder / "tenants.toml", f"tenant{number:02d}", {}),
                network=number % len(NETWORKS),
                recipes=recipes,
            )
            for number in range(given.tenants)
        ]
        expected = expect(folder, tenants)
        options: list[object] = ["--tokens", folder / "tenants.toml", "--memory", int(given.gib * (1 << 30))]
        run_each_network(folder, tenants, options)
        alone, together = [], []
        for _ in range(given.rounds):
            alone.append(measure_alone(folder, tenants, options))
            together.append(measure_together(folder, tenants, options, expected))
            print(alone[-1], together[-1], flush=True)
    result = {"images_each": given.images, "memory_bytes": int(given.gib * (1 << 30)), "networks": NETWORKS}
    print(write_result("service_tenants", {**result, **judged(tenants, alone, together)}, packages=["torchvision"]))


if __name__ == "__main__":
    main()
