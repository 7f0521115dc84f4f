"""How fast stored features pass through a service: over loopback as it is, and over a link that is shaped."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import obstore

import hapistore as hs
from hapistore.catalog.names import features_name
from hapistore.extraction import recipe_of
from hapistore.service.client import ServiceClient, connect
from hapistore.stores import FolderStore, ObjectStore

from .environment import spread
from .read_data import spans, write_store
from .service_process import service

READERS = (1, 2, 4)
CODECS = ("f32", "f16")
THREADS = 4  # of a reader
_BEGIN_IN_S = 0.2
_VALUES_SEED, _REAL_ROWS = 0, 64


def write_features(folder: Path, rows: int, codec: str) -> list[str]:
    """A folder store with features of so many rows, pooled ones of EfficientNet-Lite0's shape; names of the shards."""
    recipe, weights = recipe_of(hs.load_backbone("efficientnet_lite0", weights="random").prefix("pool"))
    values = np.random.default_rng(_VALUES_SEED).standard_normal((_REAL_ROWS, *recipe.shape), np.float32)
    write_store(folder, values, recipe, weights, rows, codec=codec)
    return [features_name(recipe.digest, codec, f"{number:064x}") for number in range(len(spans(rows)))]


@lru_cache(maxsize=1)
def _client(url: str) -> ServiceClient:
    return connect(url)


def _read(url: str, names: Sequence[str], begin_at: float) -> tuple[float, float, int]:
    """One reader, in a process: when it began and ended by the clock of all processes, and how many bytes came.

    Some shards are under way at once, as they are for a reader of training batches.
    """
    client = _client(url)
    with ThreadPoolExecutor(THREADS) as pool:
        time.sleep(max(0.0, begin_at - time.monotonic()))
        began = time.monotonic()
        size = sum(pool.map(lambda name: len(client.get(name)), names))
        return began, time.monotonic(), size


def _read_at_once(pool: ProcessPoolExecutor, readers: int, url: str, names: Sequence[str]) -> float:
    """Gigabytes a second of so many readers, each of which reads everything."""
    begin_at = time.monotonic() + _BEGIN_IN_S
    ended = [one.result() for one in [pool.submit(_read, url, names, begin_at) for _ in range(readers)]]
    seconds = max(end for _, end, _ in ended) - min(begin for begin, _, _ in ended)
    return sum(size for _, _, size in ended) / seconds / 1e9


def measure_loopback(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Gigabytes a second through a service before a folder, on all cores, by codec and number of readers."""
    found: dict[str, Any] = {"rows": rows, "bytes": {}, "gb_per_s": {}}
    for codec in CODECS:
        names = write_features(folder / codec, rows, codec)
        store = FolderStore(folder / codec)
        found["bytes"][codec] = sum(store.head(name).bytes for name in names)
        with (
            service(folder / codec, folder / f"{codec}.log") as url,
            ProcessPoolExecutor(max(READERS), multiprocessing.get_context("spawn")) as pool,
        ):
            _require_same(url, store, names)
            _read_at_once(pool, max(READERS), url, names)  # starts the processes, and warms up
            speeds: dict[int, list[float]] = {readers: [] for readers in READERS}
            for _ in range(rounds):
                for readers, values in speeds.items():
                    values.append(_read_at_once(pool, readers, url, names))
        found["gb_per_s"][codec] = {str(readers): spread(values) for readers, values in speeds.items()}
        print(codec, found["gb_per_s"][codec], flush=True)
    return found


def _require_same(url: str, store: ObjectStore, names: Sequence[str]) -> None:
    with connect(url) as client:
        for name in names:
            if client.get(name) != store.get(name):
                raise SystemExit(f"{name} came through changed")


def fill_link(url: str, gateway: str, names: Sequence[str], link_mbit_s: int, rounds: int) -> dict[str, Any]:
    """Share of a link that the bytes of features fill, through the service and by bare obstore from the store.

    Args:
        url, gateway: of the service, and of the store, both behind the link.
    """
    client, bare = connect(url), hs.open_store(gateway).inner._client  # type: ignore[attr-defined]
    getting: dict[str, Callable[[str], Any]] = {
        "service": client.get,
        "obstore": lambda name: obstore.get(bare, name).bytes(),
    }
    shares: dict[str, list[float]] = {who: [] for who in getting}
    size = 0
    for number in range(rounds + 1):
        for who in getting if number % 2 else reversed(getting):
            began = time.perf_counter()
            with ThreadPoolExecutor(THREADS) as pool:
                size = sum(len(data) for data in pool.map(getting[who], names))
            if number:  # the first round warms up
                shares[who].append(size * 8 / (time.perf_counter() - began) / (link_mbit_s * 1e6))
    client.close()
    return {"bytes": size, "link_mbit_s": link_mbit_s, "of_link": {who: spread(all_) for who, all_ in shares.items()}}
