"""A first epoch over a slow link: ``python -m benchmarks.read_cold --link 1000``.

Half a million rows of pooled features (those of ``benchmarks.read``) on a real SeaweedFS, behind a loopback device of a
namespace of its own that is shaped to that rate (root, and iproute2). Each round makes a pipe anew and reads one epoch,
shuffled over all rows and within a window of 16 shards: bytes of annotations and feature shards by seconds, from the
pipe's making, which reads the annotations, to its last batch, as a share of the link. Beside it the same objects by
bare obstore, eight at a time. What obstore lacks to 100 % are the headers of packets. Needs
``pip install '.[demo,dev]'``. Some minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore

import hapistore as hs
from hapistore.catalog import View
from hapistore.catalog.names import annotations_name
from hapistore.stores import FolderStore
from hapistore_torch import FeaturePipe

from .environment import spread, write_result
from .read_data import BATCH, real_features, write_store
from .stores import enter_namespace, shape

_ROWS = 500_000


def upload(folder: Path, store: Any) -> None:
    """Every object of a folder store, under its name."""
    local = FolderStore(folder)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda info: store.put(info.name, local.get(info.name)), local.list("")))


def measure(url: str, link_mbit_s: int, rounds: int) -> dict[str, Any]:
    """Shares of the link by who reads, and how."""
    view = hs.open_view(hs.open_store(url), "many")
    annotations = [annotations_name(shard.annotations) for shard in view.version.shards]
    names = [*annotations, *view.feature_names()]
    client = view.store.inner._client  # type: ignore[attr-defined]
    size = sum(view.store.head(name).bytes for name in names)
    reading: dict[str, Callable[[], int]] = {
        "global": lambda: _epoch(view, "global"),
        "window": lambda: _epoch(view, "window"),
        "obstore": lambda: _plain(client, names),
    }
    shares: dict[str, list[float]] = {name: [] for name in reading}
    for number in range(rounds + 1):
        for name in reading if number % 2 else reversed(reading):
            started = time.perf_counter()
            reading[name]()
            seconds = time.perf_counter() - started
            if number:  # the first round warms up
                shares[name].append(size * 8 / seconds / (link_mbit_s * 1e6))
    plain = shares["obstore"]
    return {
        "of_link": {name: spread(values) for name, values in shares.items()},
        "of_obstore": {
            name: spread([ours / theirs for ours, theirs in zip(values, plain, strict=True)])
            for name, values in shares.items()
        },
        "bytes": size,
        "rows": _ROWS,
    }


def _epoch(view: View, shuffle: str) -> int:
    pipe = FeaturePipe(view, batch_size=BATCH, shuffle=shuffle)
    rows = sum(len(labels) for _, labels in pipe)
    pipe.close()
    if rows != _ROWS:
        raise SystemExit(f"{rows} rows were read of {_ROWS}")
    return rows


def _plain(client: Any, names: list[str]) -> int:
    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(lambda name: len(obstore.get(client, name).bytes()), names))


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--link", type=int, metavar="MBIT", default=1000)
    parser.add_argument("--folder", type=Path, help="where to work; features written there are used again")
    options = parser.parse_args()
    enter_namespace("benchmarks.read_cold")
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))
    from seaweedfs import seaweedfs

    with tempfile.TemporaryDirectory() as temporary:
        root = (options.folder or Path(temporary)) / "pooled"
        if not (root / "hapistore").exists():
            root.mkdir(parents=True, exist_ok=True)
            write_store(root / "hapistore", *real_features(root, "pool"), _ROWS)
        with seaweedfs(Path(temporary) / "server") as server:
            os.environ.update(server.environment)
            url = server.url("benchmark")
            upload(root / "hapistore", hs.open_store(url))
            shape(int(server.endpoint.rpartition(":")[2]), options.link)
            result = measure(url, options.link, options.rounds)
    print(write_result(f"read_cold_{options.link}mbit", {"link_mbit_s": options.link, **result}, packages=["obstore"]))


if __name__ == "__main__":
    main()
