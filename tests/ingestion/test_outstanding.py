"""What is left out of a dataset: accumulated over ingests, without what was ingested since; and read again."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest

from hapistore.errors import HapistoreError, UsageError
from hapistore.ingestion import (
    IngestOptions,
    Quarantined,
    convert,
    export_quarantine,
    image_folder,
    ingest,
    load_quarantine,
    open_source,
    outstanding,
    retry,
)
from hapistore.ingestion.retrying import OnlyKeys


def keys(images) -> list[str]:
    return [image.key for image in images]


@pytest.fixture
def two_sources(tree, picture):
    """Folders with a good image each, and images that are none: two in the first, one in the second."""
    first = tree({"x/a.png": picture(1), "x/b.png": b"", "x/c.png": b"text" * 9}, "first")
    second = tree({"y/d.png": picture(2), "y/e.png": picture(3)[:20]}, "second")
    return first, second


def test_reports_accumulate(two_sources, store):
    first, second = two_sources
    one = ingest(store, "d", image_folder(first)).version
    two = ingest(store, "d", image_folder(second)).version
    assert keys(load_quarantine(store, two)) == ["y/e.png"]
    assert keys(outstanding(store, one)) == ["x/b.png", "x/c.png"]
    assert keys(outstanding(store, two)) == ["x/b.png", "x/c.png", "y/e.png"]
    three = convert(store, "d", layout="lmdb").version
    assert keys(outstanding(store, three)) == ["x/b.png", "x/c.png", "y/e.png"]


def test_what_was_mended_is_not_outstanding_any_more_but_was(two_sources, store, picture):
    first, _ = two_sources
    one = ingest(store, "d", image_folder(first)).version
    (first / "x/b.png").write_bytes(picture(9))
    two = ingest(store, "d", image_folder(first)).version
    assert keys(outstanding(store, two)) == ["x/c.png"]
    assert keys(outstanding(store, one)) == ["x/b.png", "x/c.png"]


def test_an_image_that_is_stored_is_not_outstanding_whatever_became_of_its_file(two_sources, store, picture):
    first, _ = two_sources
    ingest(store, "d", image_folder(first))
    (first / "x/a.png").write_bytes(b"broken")
    (first / "x/new.png").write_bytes(picture(7))
    version = ingest(store, "d", image_folder(first)).version
    assert keys(load_quarantine(store, version)) == ["x/a.png", "x/b.png", "x/c.png"]
    assert keys(outstanding(store, version)) == ["x/b.png", "x/c.png"]


def test_the_latest_report_says_why(two_sources, store, picture):
    first, _ = two_sources
    reasons = {}
    for number, content in enumerate((b"", b"text", b""), 1):
        (first / "x/b.png").write_bytes(content)
        (first / f"x/more{number}.png").write_bytes(picture(20 + number))
        version = ingest(store, "d", image_folder(first)).version
        reasons[number] = {image.key: image.reason for image in outstanding(store, version)}["x/b.png"]
    assert reasons == {1: "empty", 2: "not-an-image", 3: "empty"}  # the third report is the first again


def test_a_retry_reads_what_was_left_out_and_nothing_else(two_sources, store, picture, read_back):
    first, second = two_sources
    ingest(store, "d", image_folder(first))
    ingest(store, "d", image_folder(second))
    (first / "x/b.png").write_bytes(picture(9))
    (first / "x/new.png").write_bytes(picture(10))
    result = retry(store, "d", image_folder(first))
    version = result.ingested.version
    assert (version.number, result.ingested.images, result.before, result.after) == (3, 1, 3, 2)
    assert result.missing == ["y/e.png"]
    assert {r["key"]: r["label"] for r in read_back(store, version)} == {"x/a.png": "x", "y/d.png": "y", "x/b.png": "x"}
    assert {r["key"]: r["image"] for r in read_back(store, version)}["x/b.png"] == picture(9)
    assert keys(load_quarantine(store, version)) == ["x/c.png"]
    assert keys(outstanding(store, version)) == ["x/c.png", "y/e.png"]


def test_a_retry_of_a_manifest_keeps_labels_and_columns(tree, store, picture, read_back):
    rows = "path,label,site\na.png,1,north\nb.png,2,south\n"
    root = tree({"a.png": picture(1), "b.png": b"", "all.csv": rows}, "listed")
    ingest(store, "d", open_source(root / "all.csv"))
    (root / "b.png").write_bytes(picture(2))
    version = retry(store, "d", open_source(root / "all.csv")).ingested.version
    assert [(r["key"], r["label"], r["site"]) for r in read_back(store, version)] == [
        ("a.png", 1, "north"),
        ("b.png", 2, "south"),
    ]


def test_a_retry_keeps_the_layout(two_sources, store, picture):
    first, _ = two_sources
    ingest(store, "d", image_folder(first))
    convert(store, "d", layout="lmdb")
    (first / "x/b.png").write_bytes(picture(9))
    version = retry(store, "d", image_folder(first)).ingested.version
    assert [shard.layout for shard in version.shards] == ["lmdb", "lmdb"]


def test_a_retry_of_what_is_still_broken_commits_nothing(two_sources, store):
    first, second = two_sources
    ingest(store, "d", image_folder(first))
    with pytest.raises(HapistoreError, match=r"none of the 2 images can be used, nothing was committed.*\[empty\]"):
        retry(store, "d", image_folder(first))
    with pytest.raises(UsageError, match=r"none of the 2 images that were left out \(the first is x/b\.png\)"):
        retry(store, "d", image_folder(second))
    assert keys(outstanding(store, ingest(store, "d", image_folder(first)).version)) == ["x/b.png", "x/c.png"]


def test_a_retry_looks_at_every_pixel(tree, store, picture):
    """What was left out for its pixels must not come in by its header."""
    root = tree({"x/a.png": picture(1), "x/cut.jpg": picture(2, "JPEG", (90, 60))[:1500]})
    ingest(store, "d", image_folder(root), IngestOptions(check="full"))
    with pytest.raises(HapistoreError, match=r"none of the 1 images.*\[truncated\]"):
        retry(store, "d", image_folder(root))


def test_a_retry_of_nothing_is_refused(tree, store, picture):
    root = tree({"x/a.png": picture(1)})
    ingest(store, "d", image_folder(root))
    with pytest.raises(UsageError, match="nothing is left out of d@1"):
        retry(store, "d", image_folder(root))


def test_a_source_cut_to_keys_can_be_listed_again(two_sources, listed):
    only = OnlyKeys(image_folder(two_sources[0]), ["x/c.png", "x/a.png", "gone.png"])
    for _ in range(2):
        assert listed(only).annotations["key"].to_pylist() == ["x/a.png", "x/c.png"]
        assert only.seen == {"x/a.png", "x/c.png"}


HOSTILE = [
    Quarantined(key='a,"b"\nc', reason="empty", detail="0 bytes"),
    Quarantined(key="=1+1 \u202eelif", reason="truncated", detail="ä"),
]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_export_is_read_back_as_it_was(tmp_path, ending):
    path = tmp_path / f"out.{ending}"
    export_quarantine(HOSTILE, path)
    if ending == "csv":
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    elif ending == "jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    else:
        rows = pq.read_table(path).to_pylist()
    assert rows == [vars(image) for image in HOSTILE]
    with pytest.raises(UsageError, match="is there already"):
        export_quarantine([], path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_export_of_nothing_has_columns(tmp_path):
    export_quarantine([], tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == '"key","reason","detail"\n'
    with pytest.raises(UsageError, match=r"ends in \.xls, expected \.csv, \.jsonl, \.parquet"):
        export_quarantine([], tmp_path / "none.xls")
