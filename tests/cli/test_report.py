"""hapistore report: a page about what the store holds, and about what other verbs printed."""

from __future__ import annotations

import json

import pytest


def test_report(answer, succeed, hapistore, source, tmp_path):
    store = tmp_path / "store"
    printed = answer("ingest", "pets", source, "--store", store)
    (tmp_path / "ingest.json").write_text(json.dumps(printed))
    found = answer("report", "pets", "--link", "1Gbit/s", "--run", "ingest.json", "--store", store, cwd=tmp_path)
    page = tmp_path / "report.html"
    (shard,) = (store / "images").iterdir()
    assert found == {
        "datasets": [
            {
                "version": "pets@1",
                "images": 6,
                "bytes": shard.stat().st_size,
                "shards": 1,
                "feature_bytes": 0,
                "weights_bytes": 0,
                "features": [],
            }
        ],
        "runs": ["ingest.json"],
        "bytes": page.stat().st_size,
        "file": "report.html",
    }
    text = page.read_text(encoding="utf-8")
    assert "1 Gbit/s (yours)" in text and "There are no features yet" in text and "ingest.json · pets@1" in text
    again = hapistore("report", "pets", "--out", page, "--store", store)
    assert again.returncode == 2 and "is there already" in again.stderr and page.read_text(encoding="utf-8") == text
    said = succeed("report", "pets@1", "--out", page, "--store", store, "--replace").stdout
    assert said.startswith("pets@1: 6 images, an epoch pulls ") and f"\n{page}: 0 runs, " in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "found no JSON"),
        ('{"kind": "training", "dataset": "pets", "epochs": [{"seconds": -1}]}', "epochs[0].seconds: found -1"),
        ('{"kind": "training", "dataset": "dogs", "epochs": [{"seconds": 1}]}', "is of dogs, the report of pets@1"),
    ],
)
def test_a_run_that_is_none_of_it_is_refused_in_one_line(hapistore, succeed, source, tmp_path, text, said):
    store = tmp_path / "store"
    succeed("ingest", "pets", source, "--store", store)
    (tmp_path / "run.json").write_text(text)
    failed = hapistore("report", "pets", "--run", "run.json", "--store", store, cwd=tmp_path)
    assert failed.returncode == 2 and len(failed.stderr.splitlines()) == 1 and failed.stdout == ""
    assert said in failed.stderr and "run.json" in failed.stderr
    assert not (tmp_path / "report.html").exists()
