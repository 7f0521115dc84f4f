"""Versions: found by probing, committed by who comes first, and named in messages that help."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from hapistore.catalog import (
    commit_version,
    dataset_names,
    latest_version,
    open_version,
    parse_dataset,
    resolve_version,
)
from hapistore.catalog.names import version_name
from hapistore.errors import NotFound, UsageError
from hapistore.stores import FolderStore, MemoryStore
from hapistore_format import DamagedError

COMMITTER = """
import sys
from hapistore.catalog import commit_version
from hapistore.stores import FolderStore
from hapistore_format import DatasetVersion, ShardRef
store, who = FolderStore(sys.argv[1]), sys.argv[2]
ref = ShardRef(images="a" * 64, annotations="b" * 64, layout="arrow", rows=1, bytes=1)
print("ready", flush=True)
sys.stdin.readline()
for turn in range(5):
    done = commit_version(store, "pets", lambda newest, number: DatasetVersion(
        dataset="pets", number=number, created=f"{who}-{turn}", shards=((newest.shards if newest else ()) + (ref,))))
    assert done.created == f"{who}-{turn}"
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("pets", ("pets", None)), ("pets@7", ("pets", 7)), ("a.b-c_d9@00000001", ("a.b-c_d9", 1)), ("9", ("9", None))],
)
def test_a_dataset_and_its_version(text, expected):
    assert parse_dataset(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "@1", "Pets", "-pets", ".pets", "a/b", "../x", "a..b", "pets ", "a" * 101, "ü", "pets\n"),
        *("pets@", "pets@0", "pets@-1", "pets@x", "pets@1.0", "pets@100000000", "pets@1@2", "pets@\u0663", "pets@1\n"),
    ],
)
def test_what_names_no_dataset_is_refused(text):
    with pytest.raises(UsageError, match="no dataset name|names no version"):
        parse_dataset(text)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33])
def test_the_newest_version_is_found_by_probing(store, make, count):
    for number in range(1, count + 1):
        store.create(version_name("pets", number), make.version("pets", number).serialise())
    newest = latest_version(store, "pets")
    assert (newest.number if newest else 0) == count


def test_probing_needs_few_requests_and_no_listing(make):
    class Counting(MemoryStore):
        heads = 0

        def head(self, name):
            self.heads += 1
            return super().head(name)

        def list(self, prefix="", *, after=""):
            raise AssertionError("a listing may lag behind")

    store = Counting()
    for number in range(1, 1001):
        store.create(version_name("pets", number), make.version("pets", number).serialise())
    assert latest_version(store, "pets").number == 1000
    assert store.heads < 25


def test_names_of_datasets_are_sorted_and_once_each(store, make):
    for name in ("pets", "cars", "pets2"):
        for number in (1, 2):
            store.create(version_name(name, number), make.version(name, number).serialise())
    store.create("datasets/not-one/readme.txt", b"")
    assert dataset_names(store) == ["cars", "pets", "pets2"]


def test_resolving(store, make):
    for number in range(1, 4):
        store.create(version_name("pets", number), make.version("pets", number).serialise())
    assert [resolve_version(store, text).number for text in ("pets", "pets@1", "pets@3", "pets@02")] == [3, 1, 3, 2]
    with pytest.raises(UsageError, match=r"there is no pets@4; the newest is pets@3"):
        resolve_version(store, "pets@4")
    with pytest.raises(UsageError, match=r"there is no dataset 'pest' in memory:; did you mean pets\?"):
        resolve_version(store, "pest")
    with pytest.raises(UsageError, match=r"no dataset 'zebra' in memory:; there is pets"):
        resolve_version(store, "zebra")
    with pytest.raises(UsageError, match="there is none"):
        resolve_version(MemoryStore(), "pets")


def test_a_version_under_another_name_is_refused(store, make):
    store.create(version_name("pets", 1), make.version("cars", 1).serialise())
    with pytest.raises(UsageError, match=r"holds cars@1"):
        open_version(store, "pets", 1)
    with pytest.raises(NotFound):
        open_version(store, "pets", 2)


def test_a_damaged_version_is_named(store, make):
    data = bytearray(make.version("pets", 1).serialise())
    data[20] ^= 1
    store.create(version_name("pets", 1), bytes(data))
    with pytest.raises(DamagedError, match=r"datasets/pets/versions/00000001.json"):
        latest_version(store, "pets")


def test_committing_nothing_when_the_newest_says_it_all(store):
    assert commit_version(store, "pets", lambda newest, number: None) is None
    assert list(store.list()) == []


def test_the_loser_of_a_race_builds_again_on_the_winners_version(store, make):
    seen = []

    def build(newest, number):
        seen.append((newest.number if newest else 0, number))
        if len(seen) == 1:  # another writer comes first
            store.create(version_name("pets", number), make.version("pets", number, created="other").serialise())
        return make.version("pets", number, created="mine")

    assert commit_version(store, "pets", build).number == 2
    assert seen == [(0, 1), (1, 2)]
    assert [open_version(store, "pets", n).created for n in (1, 2)] == ["other", "mine"]


def test_threads_that_commit_at_once_all_get_in(tmp_path, make):
    for store in (MemoryStore(), FolderStore(tmp_path / "store")):
        barrier = threading.Barrier(8)
        committed = []

        def run(who, store=store, barrier=barrier, committed=committed):
            barrier.wait()
            for turn in range(4):
                created = f"{who}-{turn}"
                done = commit_version(store, "pets", lambda _, n, c=created: make.version("pets", n, created=c))  # noqa: B023
                committed.append((done.number, created))

        threads = [threading.Thread(target=run, args=(who,)) for who in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(n for n, _ in committed) == list(range(1, 33))
        assert all(open_version(store, "pets", number).created == created for number, created in committed)


def test_processes_that_commit_at_once_all_get_in(tmp_path, environment):
    store = FolderStore(tmp_path / "store")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMMITTER, store.url, str(who)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert latest_version(store, "pets").number == 20
    versions = [open_version(store, "pets", number) for number in range(1, 21)]
    assert sorted(v.created for v in versions) == sorted(f"{who}-{turn}" for who in range(4) for turn in range(5))
    assert [len(v.shards) for v in versions] == list(range(1, 21))  # each was built on the one before
