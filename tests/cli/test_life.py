"""The life of a dataset as the command prints it: annotate, log, expire, rm, rollback, gc."""

from __future__ import annotations

import os
import re

import pytest


@pytest.fixture
def store(succeed, source, tmp_path):
    succeed("ingest", "pets", source, "--store", tmp_path / "store", "--shard-size", "600")
    return tmp_path / "store"


def test_annotate_and_log(answer, succeed, store, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("key,label,subset,dropped,age\ncat/0000.png,lion,train,,3\ndog/0001.png,dog,,true,\n")
    found = answer("annotate", "pets", table, "--store", store)
    assert found.pop("seconds") < 60 and found.pop("shards") >= found.pop("shards_changed") > 0
    assert found == {
        "dataset": "pets",
        "version": 2,
        "committed": True,
        "rows": 2,
        "relabelled": 1,
        "resubset": 1,
        "edited": 1,
        "dropped": 1,
        "restored": 0,
        "columns_added": ["age"],
    }
    again = succeed("annotate", "pets", table, "--store", store).stdout
    assert re.fullmatch(r"nothing new: pets@2: no image changed; 2 rows, 0 of \d shards in .*\n", again)
    log = answer("log", "pets", "--store", store)
    assert [version["version"] for version in log["versions"]] == [2, 1]
    assert log["versions"][0]["changes"]["dropped"] == 1 and log["versions"][1]["changes"]["added"] == 6
    text = succeed("log", "pets", "--store", store, "--limit", "1").stdout.splitlines()
    assert text[0].startswith("pets@2  20") and len(text) == 3
    assert text[2] == "  1 dropped, 1 relabelled, 1 resubset, 1 edited, columns +age (int64)"


def test_expire_rm_rollback_and_gc(answer, succeed, hapistore, store):
    succeed("convert", "pets", "--layout", "lmdb", "--store", store)
    assert answer("expire", "pets", "--keep", "1", "--store", store) == {
        "dataset": "pets",
        "expired": [1],
        "kept": [2],
    }
    assert hapistore("inspect", "pets@1", "--store", store).returncode == 2
    assert "rollback pets@2" in succeed("rm", "pets", "--store", store).stdout
    assert answer("ls", "--store", store)["datasets"] == []
    back = answer("rollback", "pets@2", "--store", store)
    assert (back["version"], back["equals"], back["committed"]) == (3, 2, True)
    for path in store.rglob("*.*"):
        os.utime(path, (1e9, 1e9))
    (store / "mine.txt").write_text("x")
    dry = answer("gc", "--dry-run", "--store", store)
    assert dry["removed"] == {"images": back["shards"]} and (dry["dry_run"], dry["foreign"]) == (True, 1)
    done = succeed("gc", "--store", store)
    assert re.search(rf"^removed {back['shards']} objects \({back['shards']} images\), ", done.stdout, re.MULTILINE)
    assert "1 are none of hapistore's, and stay" in done.stderr
    succeed("verify", "--store", store)
    gone = hapistore("rollback", "pets@1", "--store", store)
    assert gone.returncode == 1 and "not in the store any more" in gone.stderr
