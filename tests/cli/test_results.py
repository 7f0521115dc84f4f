"""What ingest, ls and inspect print, as text and as JSON."""

from __future__ import annotations

import json
import re
from datetime import datetime

DIGEST = re.compile(r"[0-9a-f]{64}")


def test_ingest(answer, succeed, source, tmp_path):
    found = answer("ingest", "pets", source, "--store", tmp_path / "store", "--shard-size", "600")
    sizes = [path.stat().st_size for path in source.rglob("*.png")]
    (bad,) = found.pop("quarantined")
    assert bad["key"] == "cat/bad.jpg" and bad["reason"] == "not-an-image" and set(bad) == {"key", "reason", "detail"}
    seconds = found.pop("seconds")
    assert isinstance(seconds, float) and 0 < seconds < 60
    shards = found.pop("shards")
    assert isinstance(shards, int) and shards > 1
    assert found == {
        "dataset": "pets",
        "version": 1,
        "committed": True,
        "images": 6,
        "bytes": sum(sizes),
        "shards_written": shards,
        "shards_present": 0,
        "ignored": {"files without an image extension": 1},
    }
    again = succeed("ingest", "pets", source, "--store", tmp_path / "store")
    assert re.fullmatch(rf"nothing new: pets@1: 6 images, .*, {shards} shards \(0 new\) in .*\n", again.stdout)
    assert "passed over 1 files without an image extension" in again.stderr
    assert re.search(r"^quarantined cat/bad\.jpg: .* \[not-an-image\]$", again.stderr, re.MULTILINE)


def test_ingest_stops_where_it_is_told_to(hapistore, source, tmp_path, files_below):
    finished = hapistore("ingest", "pets", source, "--store", tmp_path / "store", "--on-error", "fail")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert re.fullmatch(r"error: image cat/bad\.jpg: .* \[not-an-image\]; nothing was committed\n", finished.stderr)
    assert [name for name in files_below(tmp_path / "store") if "versions" in name] == []


def test_ls(answer, succeed, source, tmp_path):
    store = tmp_path / "store"
    first = answer("ingest", "pets", source, "--store", store)
    (source / "cat/bad.jpg").unlink()
    answer("ingest", "cells.2", source, "--store", store)
    found = answer("ls", "--store", store)
    assert found["store"] == str(store)
    names = [dataset["dataset"] for dataset in found["datasets"]]
    assert names == ["cells.2", "pets"]
    pets = found["datasets"][1]
    assert pets == {
        "dataset": "pets",
        "version": 1,
        "images": 6,
        "bytes": pets["bytes"],
        "shards": 1,
        "quarantined": 1,
        "features": [],
    }
    assert isinstance(pets["bytes"], int) and pets["bytes"] > first["bytes"]
    text = succeed("ls", "--store", store).stdout
    assert re.search(r"^ +pets@1 +6 +[\d.]+ KiB +none yet", text, re.MULTILINE)
    assert re.search(r"^ +cells\.2@1 +6 ", text, re.MULTILINE)


def test_inspect(answer, succeed, hapistore, source, tmp_path):
    store = tmp_path / "store"
    rows = [
        {"path": f"{('cat', 'dog')[n % 2]}/{n:04d}.png", "subset": "train" if n else None, "m": n} for n in range(6)
    ]
    rows = [row | {"label": row["path"][:3]} for row in rows]
    manifest = source / "all.jsonl"
    manifest.write_text("\n".join(map(json.dumps, [*rows, {"path": "gone.png"}])))
    succeed("ingest", "pets", manifest, "--store", store)
    (source / "dog/0001.png").write_bytes((source / "dog/0003.png").read_bytes())
    succeed("ingest", "pets", manifest, "--store", store)
    found = answer("inspect", "pets", "--store", store)
    assert datetime.fromisoformat(found.pop("created")).tzinfo is not None
    shards, quarantined = found.pop("shards"), found.pop("quarantined")
    assert found == {
        "dataset": "pets",
        "version": 2,
        "images": 6,
        "dropped": 1,
        "bytes": sum(shard["bytes"] for shard in shards),
        "labels": {"cat": 3, "dog": 3},
        "subsets": {"(none)": 1, "train": 5},
        "columns": {"key": "string", "label": "string", "subset": "string", "dropped": "bool", "m": "int64"},
        "features": [],
    }
    assert [(shard["rows"], shard["layout"]) for shard in shards] == [(6, "arrow"), (1, "arrow")]
    assert all(DIGEST.fullmatch(shard["images"]) and DIGEST.fullmatch(shard["annotations"]) for shard in shards)
    assert [(image["key"], image["reason"]) for image in quarantined] == [("gone.png", "unreadable-file")]
    text = succeed("inspect", "pets@2", "--store", store).stdout
    for fact in (
        r"^pets@2, \d{4}-\d\d-\d\dT",
        r"^images +6 \(1 dropped\), ",
        r"^subsets +\(none\): 1, train: 5$",
        r"^labels +cat: 3, dog: 3$",
        r"^columns +key \(string\), .*m \(int64\)$",
        rf"^shard +{shards[0]['images'][:12]} 6 images, ",
        r"^left out +gone\.png: .* \[unreadable-file\]$",
    ):
        assert re.search(fact, text, re.MULTILINE), fact
    old = answer("inspect", "pets@1", "--store", store)
    assert (old["version"], old["images"], old["dropped"], len(old["shards"])) == (1, 6, 0, 1)


def test_a_store_without_datasets(succeed, answer, hapistore, source, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "a.jpg").write_bytes(b"")
    assert hapistore("ingest", "pets", bad, "--store", tmp_path / "store").returncode == 1
    assert succeed("ls", "--store", tmp_path / "store").stdout == "no datasets yet: hapistore ingest DATASET SOURCE\n"
    assert answer("ls", "--store", tmp_path / "store")["datasets"] == []
