"""Ingest beside the writers people use, and beside ``cp -r && sync``: ``python -m benchmarks.ingest``.

The same class folders of JPEGs, their files in the page cache, into shards of 64 MiB on the same disk; in turn, medians
of rounds. Each run has a process of its own, which first writes a few images elsewhere: the time to get there (imports,
kernels, workers) is told apart. hapistore's time has every fsync in it, the others' have none but ``cp``'s; what it
stored is held against the files. Needs ``pip install '.[dev,bench]'``, on disk three times the images' size, and two
peers whose requirements contradict ours: ``pip install --no-deps litdata mosaicml-streaming``, then what they import.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hapistore.catalog import open_image_shard, resolve_version
from hapistore.catalog.names import annotations_name
from hapistore.stores import open_store
from hapistore_format import AnnotationShard

from .environment import spread, write_result
from .ingest_writers import WRITERS
from .photographs import write_photographs

COPY = "cp -r && sync"
_PACKAGES = ("webdataset", "litdata", "mosaicml-streaming", "datasets")


def run_writer(name: str, source: Path, target: Path, few: Path) -> dict[str, float]:
    """Run one writer in this process, once for a few images and once for all."""
    began = time.perf_counter()
    write = WRITERS[name]()
    target.mkdir()
    write(few, target / "few")
    ready = time.perf_counter()
    write(source, target / "all")
    seconds = time.perf_counter() - ready
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return {"seconds": seconds, "ready_seconds": ready - began, "peak_bytes": peak}


def write_few(source: Path, folder: Path) -> Path:
    """Class folders of the first images of a few classes, if they are not there."""
    few = folder / "few"
    if not few.exists():
        for label in sorted(source.iterdir())[:4]:
            (few / label.name).mkdir(parents=True)
            for path in sorted(label.iterdir())[:8]:
                shutil.copy(path, few / label.name)
    return few


def check_stored(source: Path, target: Path) -> None:
    """Hold every image that hapistore stored against its file."""
    store = open_store(target)
    read = 0
    for shard in resolve_version(store, "photographs").shards:
        name = annotations_name(shard.annotations)
        keys = AnnotationShard(store.get(name), where=name).table["key"].to_pylist()
        images = open_image_shard(store, shard)
        for row, key in enumerate(keys):
            if bytes(images.image(row)) != (source / key).read_bytes():
                raise SystemExit(f"{key} is not stored as it is")
        read += len(keys)
    if read != sum(1 for _ in source.rglob("*.jpg")):
        raise SystemExit(f"{read} images were stored, not all")


def run(name: str, source: Path, target: Path, few: Path) -> dict[str, float]:
    """Run one system in a process of its own, on a disk at rest."""
    subprocess.run(["sync"], check=True)
    if name == COPY:
        began = time.perf_counter()
        subprocess.run(["sh", "-c", 'cp -r "$0" "$1" && sync', source, target], check=True)
        return {"seconds": time.perf_counter() - began, "ready_seconds": 0, "peak_bytes": 0}
    command = [sys.executable, "-m", "benchmarks.ingest", "--one", name, "--source", source, "--target", target]
    command += ["--few", few]
    output = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    if name == "hapistore":
        check_stored(source, target / "all")
    return result


def measure(source: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Every system, in turn; the first round warms up."""
    names, few = [COPY, *WRITERS], write_few(source, folder)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    sizes: dict[str, int] = {}
    for number in range(rounds + 1):
        for name in names if number % 2 else reversed(names):
            target = folder / "target"
            shutil.rmtree(target, ignore_errors=True)  # of a run that was stopped
            found = run(name, source, target, few)
            sizes[name] = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
            shutil.rmtree(target)
            print(f"{number} {name}: {found['seconds']:.2f} s", file=sys.stderr)
            if number:
                runs[name].append(found)
    return {
        name: {
            "seconds": spread([one["seconds"] for one in found]),
            "ready_seconds": spread([one["ready_seconds"] for one in found]),
            "peak_bytes": max(one["peak_bytes"] for one in found),
            "stored_bytes": sizes[name],
        }
        for name, found in runs.items()
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work; images made there are used again")
    parser.add_argument("--one", choices=WRITERS, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--few", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_writer(options.one, options.source, options.target, options.few)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        source = folder / f"photographs-{options.images}"
        size = write_photographs(source, options.images)
        systems = measure(source, folder, options.rounds)
    result = {"systems": systems, "images": options.images, "bytes": size, "copy": COPY}
    print(write_result("ingest", result, packages=_PACKAGES))


if __name__ == "__main__":
    main()
