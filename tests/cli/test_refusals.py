"""What cannot be done as asked: one line on stderr, nothing on stdout, status 2, nothing written."""

from __future__ import annotations

import pytest

# name: arguments (in a folder that holds `source` and `store` with dataset pets), what the message says
CASES = {
    "missing source": ("ingest new nowhere", ["nowhere does not exist"]),
    "empty folder": ("ingest new empty", ["empty has no images (it is empty)"]),
    "folder without images": ("ingest new texts", ["texts has no images (1 files"]),
    "file as source": ("ingest new source/notes.txt", ["notes.txt is a file", ".csv or .jsonl"]),
    "file as store": ("ls --store source/notes.txt", ["store", "notes.txt is a file, expected a folder"]),
    "unknown scheme": ("ls --store ftp://x/y", ["ftp", "there are folders", "s3://, gs://, az://"]),
    "unknown label column": ("ingest new list.csv --label-column defect", ["no column 'defect'", "path, label"]),
    "unknown path column": ("ingest new list.csv --path-column file", ["no column 'file'", "path, label"]),
    "columns of a folder": ("ingest new source --label-column defect", ["has no --label-column"]),
    "bad dataset name": ("ingest New source", ["'New' is no dataset name", "lower-case"]),
    "dataset name as path": ("ingest ../new source", ["is no dataset name"]),
    "a version": ("ingest pets@1 source", ["pets@1 names a version", "ingest into pets"]),
    "type of labels": ("ingest pets list.csv --store store", ["column 'label'", "int64", "string"]),
    "bad size": ("ingest new source --shard-size 12parsecs", ["'12parsecs' is no size", "64MiB"]),
    "size of nothing": ("ingest new source --shard-size 0", ["at least 1"]),
    "no threads": ("ingest new source --threads 0", ["--threads", "x>=1"]),
    "unknown dataset": ("inspect pest --store store", ["no dataset 'pest'", "did you mean pets?"]),
    "unlike dataset": ("inspect zzz --store store", ["no dataset 'zzz'", "there is pets"]),
    "unknown version": ("inspect pets@7 --store store", ["no pets@7", "the newest is pets@1"]),
    "no version number": ("inspect pets@x --store store", ["'pets@x' names no version"]),
    "no store to list": ("ls --store nothing", ["no hapistore store at", "nothing", "hapistore ingest"]),
    "no store to inspect": ("inspect pets --store nothing", ["no hapistore store at"]),
    "no store to verify": ("verify --store nothing", ["no hapistore store at"]),
    "no store to convert": ("convert pets --layout lmdb --store nothing", ["no hapistore store at"]),
    "unknown layout": ("convert pets --layout zip --store store", ["'zip'", "'arrow', 'lmdb'"]),
    "a version to convert": ("convert pets@1 --layout lmdb --store store", ["pets@1 names a version", "convert pets"]),
    "a dataset to convert": ("convert pest --layout lmdb --store store", ["did you mean pets?"]),
    "layout of new shards": ("ingest new source --layout zip", ["'zip'"]),
    "no store to extract": (
        "extract pets --backbone efficientnet_lite0 --store nothing",
        ["no hapistore store at", "hapistore ingest"],
    ),
    "a folder that is no store": ("ls --store source", ["no hapistore store at"]),
    "unknown codec": (
        "extract pets --backbone efficientnet_lite0 --codec u8c+zst --store store",
        ["'u8c+zst'", "did you mean", "u8c+zstd"],
    ),
    "unknown backbone": (
        "extract pets --backbone efficientnet_lite --store store",
        ["'efficientnet_lite'", "did you mean efficientnet_lite"],
    ),
    "unknown cut": ("extract pets --backbone efficientnet_lite0 --cut polo --store store", ["'polo'", "pool"]),
    "no backbone": ("extract pets --store store", ["--backbone"]),
    "a share": ("extract pets --backbone efficientnet_lite0 --share 3/2 --store store", ["share 3 of 2"]),
    "no share": ("extract pets --backbone efficientnet_lite0 --share two --store store", ["'two'", "such as 2/3"]),
    "dataset to extract": ("extract pest --backbone efficientnet_lite0 --store store", ["did you mean pets?"]),
    "keys that are not there": ("annotate pets keys.csv --store store", ["keys that are not in pets@1: a, b"]),
    "a type to annotate": (
        "annotate pets types.csv --retype label --store store",
        ["from string to int64", "2 images have no value"],
    ),
    "a version to annotate": ("annotate pets@1 keys.csv --store store", ["pets@1 names a version", "annotate pets"]),
    "a dataset to annotate": ("annotate pest keys.csv --store store", ["did you mean pets?"]),
    "no table": ("annotate pets nothing.csv --store store", ["nothing.csv does not exist"]),
    "a log of nothing": ("log pest --store store", ["did you mean pets?"]),
    "nothing to remove": ("rm pest --store store", ["did you mean pets?"]),
    "a version to remove": ("rm pets@1 --store store", ["pets@1 names one version", "expire --keep"]),
    "keep nothing": ("expire pets --keep 0 --store store", ["--keep", "x>=1"]),
    "a version to go back to": ("rollback pets --store store", ["names no version", "pets@3"]),
    "no version to go back to": ("rollback pets@3 --store store", ["no pets@3", "the last is pets@1"]),
    "a grace too short": ("gc --grace 1h --store store", ["too short", "at least 7200", "--no-writers"]),
    "a grace that is none": ("gc --grace soon --store store", ["'soon' is no length of time", "7d"]),
    "no dataset to report": ("report --store store", ["DATASET"]),
    "a dataset to report": ("report pest --store store", ["did you mean pets?"]),
    "a dataset twice": ("report pets pets@1 --store store", ["pets@1, pets@1", "each once"]),
    "a run that is none": ("report pets --run source/notes.txt --store store", ["notes.txt", "found no JSON"]),
    "a run of nothing": ("report pets --run keys.json --store store", ["keys.json", "does not exist"]),
    "a link to report": ("report pets --link fast --store store", ["'fast' is no rate"]),
    "no store to report": ("report pets --store nothing", ["no hapistore store at"]),
    "no store to collect": ("gc --store nothing", ["no hapistore store at"]),
    "unknown option": ("ls --stroe x", ["No such option", "--stroe", "--store"]),
}


@pytest.fixture(scope="module")
def refused(run_all, write_source, succeed, tmp_path_factory, files_below):
    """Every case run, and the folder's files before and after."""
    folder = tmp_path_factory.mktemp("refused")
    (write_source(folder / "source", 3) / "notes.txt").write_text("x")
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts/a.txt").write_text("x")
    (folder / "list.csv").write_text("path,label\nsource/cat/0000.png,3\n")
    (folder / "keys.csv").write_text("key,label\na,x\nb,y\n")
    (folder / "types.csv").write_text("key,label\ncat/0000.png,3\n")
    succeed("ingest", "pets", "source", "--store", "store", cwd=folder)
    before = files_below(folder)
    runs = run_all({name: arguments.split() for name, (arguments, _) in CASES.items()}, cwd=folder)
    return runs, before, files_below(folder)


@pytest.mark.parametrize("case", CASES)
def test_refused(refused, case):
    finished = refused[0][case]
    assert finished.returncode == 2
    assert finished.stdout == ""
    *usage, last = finished.stderr.splitlines()
    if usage:  # click's own: usage, a hint, and then the error
        assert usage[0].startswith("Usage: ") and last.startswith("Error: ")
    else:
        assert last.startswith("error: ")
    assert [part for part in CASES[case][1] if part not in last] == []


def test_nothing_was_written(refused):
    _, before, after = refused
    assert after == before


def test_failures_that_are_no_usage_have_status_1(hapistore, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/a.jpg").write_bytes(b"no image")
    finished = hapistore("ingest", "new", "bad", cwd=tmp_path)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith("error: none of the 1 images can be used, nothing was committed")
    finished = hapistore("ingest", "new", "x" * 300, cwd=tmp_path)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith("error: ") and finished.stderr.count("\n") == 1
