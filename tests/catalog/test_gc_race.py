"""gc, writers, expiring and readers at once, processes on one folder: no version ever misses an object."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter

import pytest

from hapistore import image_folder, ingest
from hapistore.catalog import collecting, dataset_names, verify_store
from hapistore.catalog.names import parse_name
from hapistore.stores import FolderStore

SECONDS, RENEW_AFTER_S, GRACE_S = 20.0, 0.75, 3.0
EVERY = ("ingest", "annotate", "convert", "expire", "remove", "roll", "read")
COMMON = """
import json, random, sys, time
import pyarrow as pa
import hapistore as hs
from collections import Counter
from hapistore.catalog import highest_number, latest_version, open_image_shard
from hapistore.catalog.collecting import GcOptions, collect_garbage
from hapistore.catalog.expiring import expire_versions, remove_dataset, roll_back
from hapistore.catalog.names import annotations_name
from hapistore.errors import HapistoreError, UsageError
from hapistore.stores import idioms
from hapistore_format import AnnotationShard

url, photos, seed, seconds, renew, grace = sys.argv[1:4] + [float(a) for a in sys.argv[4:]]
idioms.RENEW_AFTER_S = renew
store, chance = hs.open_store(url), random.Random(int(seed))
done, until = Counter(), time.monotonic() + seconds
def dataset():
    return chance.choice(["d0", "d1"])
"""
WRITER = """
def ingest():
    folder = hs.image_folder(f"{photos}/{chance.randrange(8)}")
    hs.ingest(store, dataset(), folder, hs.IngestOptions(shard_bytes=chance.choice([1, 1200, 1 << 20]), threads=1))
def annotate():
    name = dataset()
    version = latest_version(store, name)
    if version:
        keys = AnnotationShard(store.get(annotations_name(version.shards[0].annotations)), where="a").table["key"]
        hs.annotate(store, name, pa.table({"key": keys, "label": [chance.choice("xy")] * len(keys)}))
def convert():
    hs.convert(store, dataset(), layout=chance.choice(["arrow", "lmdb"]))
def expire():
    expire_versions(store, dataset(), keep=1)
def remove():
    remove_dataset(store, dataset())
def roll():
    name = dataset()
    roll_back(store, f"{name}@{chance.randint(1, max(1, highest_number(store, name)))}")
while time.monotonic() < until:
    work = chance.choice([ingest, ingest, ingest, annotate, convert, convert, expire, remove, remove, roll])
    try:
        work()
        done[work.__name__] += 1
    except HapistoreError as error:  # removed meanwhile by the other writer, or too old to be brought back
        done[f"{work.__name__}: {type(error).__name__}"] += 1
"""
COLLECTOR = """
while time.monotonic() < until:
    report = collect_garbage(store, GcOptions(grace_s=grace))
    done["runs"] += 1
    done["lost"] += len(report.lost)
    done["removed"] += sum(report.removed.values())
    done["young"] += report.young
"""
READER = """
while time.monotonic() < until:
    began = time.monotonic()
    version = latest_version(store, dataset())
    missing = 0
    for shard in version.shards if version else ():
        try:
            open_image_shard(store, shard)
            AnnotationShard(store.get(annotations_name(shard.annotations)), where="a")
        except HapistoreError as error:
            print(version.label, error, file=sys.stderr)
            missing += 1
    done["read"] += version is not None
    if time.monotonic() - began < grace:  # else it may have expired that long ago
        done["missing"] += missing
"""


def start(code: str, environment, *arguments: object) -> subprocess.Popen[str]:
    whole = COMMON + code + "\nprint(json.dumps(done))\n"
    return subprocess.Popen(
        [sys.executable, "-c", whole, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def photos(make, tmp_path):
    """Eight folders that share most of their pictures, so that writers come upon each other's shards."""
    for number in range(8):
        make.photos(tmp_path / "photos" / str(number), 2 + number)
        for path in (tmp_path / "photos" / str(number)).glob("*/broken.png"):
            path.unlink()
    return tmp_path / "photos"


def test_nothing_that_a_version_names_is_ever_removed(tmp_path, photos, environment):
    store = FolderStore(tmp_path / "store")
    ingest(store, "d0", image_folder(photos / "0"))
    more = (SECONDS, RENEW_AFTER_S, GRACE_S)
    roles = [WRITER, WRITER, COLLECTOR, READER]
    running = [start(code, environment, store.url, photos, seed, *more) for seed, code in enumerate(roles)]
    totals: Counter[str] = Counter()
    for process in running:
        output, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, ""), errors
        totals.update(json.loads(output))
    assert (totals["lost"], totals["missing"]) == (0, 0), totals
    assert not any(what.endswith(("MissingObjects", "NotFound")) and "roll" not in what for what in totals), totals
    assert min(totals[what] for what in EVERY) > 0, totals
    assert totals["runs"] > 3 and totals["removed"] > 20, totals
    assert verify_store(store).damaged == []
    time.sleep(0.1)
    collecting.collect_garbage(store, collecting.GcOptions(grace_s=0, no_writers=True))
    assert verify_store(store).damaged == []
    left = {parse_name(info.name).kind for info in store.list()}
    if not dataset_names(store):
        assert left == {"marker", "version", "expiry"}
