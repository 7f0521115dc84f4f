"""Epochs over a slow link with a cache that is too small: ``python -m benchmarks.cache_link --link 1000``.

200,000 rows of pooled features (those of ``benchmarks.read``) on a real SeaweedFS, behind a loopback device of a
namespace of its own that is shaped to that rate (root, and iproute2), read by hapistore, LitData and MosaicML Streaming
through the cache of each, of the same capacity: a quarter of what the features take in float16. Seconds and bytes over
the link of each epoch after the first one, and the most that the cache took on the disk, in blocks, sampled. Needs
what ``benchmarks.read`` needs. Some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore

import hapistore as hs

from .environment import spread, write_result
from .read_data import BATCH, CODEC, real_features, write_store
from .read_loaders import collate, collate_named, loader_of, write_litdata, write_mosaicml
from .stores import enter_namespace, link_bytes, shape
from .torchvision_shim import import_torchvision

ROWS, CAPACITY_BYTES, _BUCKET = 200_000, 128 << 20, "hapistore-tests"
# Streaming wants a cache of at least four shards.
_CHUNK_BYTES = 16 << 20
# It shuffles within blocks. Of the usual quarter of a million rows it would fetch each shard again and again.
_BLOCK_ROWS = 20_000
_PACKAGES = ("obstore", "litdata", "mosaicml-streaming")
Epoch = Iterator[Any]


def _url(name: str) -> str:
    return f"s3://{_BUCKET}/benchmark/{name}"


def _store_url(name: str) -> str:
    return f"{_url(name)}?endpoint={os.environ['AWS_ENDPOINT_URL']}&region=us-east-1"


def _hapistore(name: str, cache: Path, codec: str) -> Callable[[], Epoch]:
    from hapistore_torch import FeaturePipe

    view = hs.open_view(hs.open_store(_store_url(name)), "many", codec=codec)
    pipe = FeaturePipe(view, batch_size=BATCH, shuffle="window", cache=str(cache), cache_bytes=CAPACITY_BYTES)
    return lambda: iter(pipe)


def _litdata(cache: Path) -> Callable[[], Epoch]:
    from litdata import StreamingDataLoader, StreamingDataset
    from litdata.streaming import downloader

    downloader._OBSTORE_CLIENT_OPTIONS["allow_http"] = True  # of its own it asks for servers with TLS only
    storage = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]}
    dataset = StreamingDataset(
        _url("litdata"), cache_dir=str(cache), shuffle=True, max_cache_size=CAPACITY_BYTES, storage_options=storage
    )
    loader = StreamingDataLoader(dataset, batch_size=BATCH, num_workers=0, collate_fn=collate)
    return lambda: iter(loader)


def _mosaicml(cache: Path) -> Callable[[], Epoch]:
    import_torchvision()
    from streaming import StreamingDataset

    os.environ["S3_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]
    dataset = StreamingDataset(
        remote=_url("mosaicml"),
        local=str(cache),
        shuffle=True,
        batch_size=BATCH,
        cache_limit=CAPACITY_BYTES,
        num_canonical_nodes=1,
        shuffle_block_size=_BLOCK_ROWS,
    )
    loader = loader_of(dataset, 2, batch_size=BATCH, collate_fn=collate_named)
    return lambda: iter(loader)


SYSTEMS: dict[str, Callable[[Path], Callable[[], Epoch]]] = {
    f"hapistore, {CODEC}": lambda cache: _hapistore("quantised", cache, CODEC),
    "hapistore, f16": lambda cache: _hapistore("half", cache, "f16"),
    "LitData, f16": _litdata,
    "MosaicML Streaming, f16": _mosaicml,
}


def write_all(root: Path) -> None:
    """Features for every system, where they are not there yet."""
    if root.exists():
        return
    partial = root.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    real, recipe, weights = real_features(partial, "pool")
    write_store(partial / "quantised", real, recipe, weights, ROWS)
    write_store(partial / "half", real, recipe, weights, ROWS, codec="f16")
    write_litdata(real, ROWS, partial / "litdata", chunk_bytes=_CHUNK_BYTES)
    write_mosaicml(real, ROWS, partial / "mosaicml", chunk_bytes=_CHUNK_BYTES)
    partial.rename(root)


def upload(root: Path) -> None:
    """Every file of every system, under its path."""
    client = hs.open_store(_store_url("")).inner._client  # type: ignore[attr-defined]
    files = [path for name in ("quantised", "half", "litdata", "mosaicml") for path in (root / name).rglob("*")]
    with ThreadPoolExecutor(8) as pool:
        put = [
            pool.submit(obstore.put, client, str(path.relative_to(root)), path, use_multipart=False)
            for path in files
            if path.is_file()
        ]
        for one in put:
            one.result()


def run_one(name: str, cache: Path, epochs: int) -> list[dict[str, float]]:
    """Seconds of each epoch but the first, and what crossed the link meanwhile, in this process."""
    begin = SYSTEMS[name](cache)
    found = []
    for _ in range(epochs + 1):
        before, started = link_bytes(), time.perf_counter()
        rows = sum(len(features) for features, _ in begin())
        found.append({"seconds": time.perf_counter() - started, "bytes": link_bytes() - before})
        if rows < ROWS - BATCH * 2:
            raise SystemExit(f"{name} read {rows} rows of {ROWS}")
    return found[1:]


def measure(folder: Path, epochs: int, rounds: int) -> dict[str, Any]:
    """Every system in turn, each time in a process and a folder of its own."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    peaks: dict[str, int] = dict.fromkeys(SYSTEMS, 0)
    for number in range(rounds):
        for name in SYSTEMS if number % 2 else reversed(SYSTEMS):
            cache = folder / "cache"
            shutil.rmtree(cache, ignore_errors=True)
            command = [sys.executable, "-m", "benchmarks.cache_link", "--one", name]
            with _Peak(cache) as peak:
                done = subprocess.run(
                    [*command, "--cache", str(cache), "--epochs", str(epochs)], capture_output=True, text=True
                )
            if done.returncode:
                raise SystemExit(f"{name}\n{done.stderr[-3000:]}")
            found[name] += json.loads(done.stdout.splitlines()[-1])
            peaks[name] = max(peaks[name], peak.bytes)
            print(name, [round(epoch["seconds"], 1) for epoch in found[name]], peaks[name] >> 20, "MiB", flush=True)
    return {
        "seconds": {name: spread([epoch["seconds"] for epoch in epochs_]) for name, epochs_ in found.items()},
        "link_bytes": {name: spread([epoch["bytes"] for epoch in epochs_]) for name, epochs_ in found.items()},
        "peak_disk_bytes": peaks,
    }


class _Peak:
    """The most that a folder takes on the disk meanwhile, sampled."""

    def __init__(self, folder: Path) -> None:
        self.bytes, self._folder, self._ended = 0, folder, threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(0.1):
            self.bytes = max(self.bytes, sum(map(_blocks, self._folder.rglob("*"))))


def _blocks(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:  # evicted meanwhile
        return 0


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--link", type=int, metavar="MBIT", default=1000)
    parser.add_argument("--folder", type=Path, help="where to work; features written there are used again")
    for hidden in ("--one", "--cache"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(options.one, Path(options.cache), options.epochs)))
        return
    enter_namespace("benchmarks.cache_link")
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))
    from seaweedfs import seaweedfs

    with tempfile.TemporaryDirectory() as temporary:
        root = (options.folder or Path(temporary)) / "cached"
        write_all(root)
        with seaweedfs(Path(temporary) / "server") as server:
            os.environ.update(server.environment)
            os.environ |= {"AWS_ENDPOINT_URL": server.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
            upload(root)
            shape(int(server.endpoint.rpartition(":")[2]), options.link)
            result = measure(Path(temporary), options.epochs, options.rounds)
    conditions = {"link_mbit_s": options.link, "rows": ROWS, "capacity_bytes": CAPACITY_BYTES}
    print(write_result(f"cache_{options.link}mbit", {**conditions, **result}, packages=_PACKAGES))


if __name__ == "__main__":
    main()
