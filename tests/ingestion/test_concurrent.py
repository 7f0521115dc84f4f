"""Several writers to one dataset at once: nothing is lost, and every version is whole."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hapistore.catalog import latest_version, open_version, verify_store
from hapistore.ingestion import IngestOptions, image_records, ingest, open_source

WRITERS, ROUNDS = 4, 4


@pytest.fixture
def sources(tree, picture):
    """A folder for each writer and round, of two images each."""
    names = [f"w{writer}r{turn}" for writer in range(WRITERS) for turn in range(ROUNDS)]
    root = tree({f"{n}/{n}/{i}.png": picture(10 * k + i) for k, n in enumerate(names) for i in range(2)})
    return root, sorted(f"{name}/{i}.png" for name in names for i in range(2))


def check_history(store, keys, read_back) -> None:
    """Every version is whole and holds what the one before it did; the last holds everything."""
    report = verify_store(store)
    assert not report.damaged and not report.unknown
    before: set[str] = set()
    newest = latest_version(store, "d")
    for number in range(1, newest.number + 1):
        listed = [record["key"] for record in read_back(store, open_version(store, "d", number))]
        assert len(listed) == len(set(listed))
        assert before < set(listed)
        before = set(listed)
    assert sorted(before) == keys


def test_threads(sources, store, read_back):
    root, keys = sources
    start = threading.Barrier(WRITERS)

    def write(writer: int) -> list[int]:
        start.wait()
        return [
            ingest(store, "d", open_source(root / f"w{writer}r{turn}"), IngestOptions(threads=1)).version.number
            for turn in range(ROUNDS)
        ]

    with ThreadPoolExecutor(WRITERS) as pool:
        numbers = [number for written in pool.map(write, range(WRITERS)) for number in written]
    assert sorted(numbers) == list(range(1, WRITERS * ROUNDS + 1))
    check_history(store, keys, read_back)


def test_the_same_source_by_all(tree, picture, store, read_back):
    root = tree({f"x/{n}.png": picture(n) for n in range(6)})
    with ThreadPoolExecutor(WRITERS) as pool:
        results = list(pool.map(lambda _: ingest(store, "d", open_source(root)), range(WRITERS)))
    assert [result.committed for result in results].count(True) == 1
    assert {result.version.number for result in results} == {1}
    check_history(store, [f"x/{n}.png" for n in range(6)], read_back)


def test_processes(sources, store, read_back, environment):
    root, keys = sources
    code = (
        "import sys, hapistore as hs\n"
        "store, sources = hs.open_store(sys.argv[1]), sys.argv[2:]\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "from hapistore.ingestion import ingest, image_folder\n"
        "for source in sources: ingest(store, 'd', image_folder(source))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, store.url, *(str(root / f"w{writer}r{turn}") for turn in range(ROUNDS))],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for writer in range(WRITERS)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    assert latest_version(store, "d").number == WRITERS * ROUNDS
    check_history(store, keys, read_back)


def meanwhile(store, other):
    """Progress that lets another writer commit while an ingest is reading."""
    others = [other]

    def on_progress(done: int, total: int | None) -> None:
        if others:
            ingest(store, "d", image_records(others.pop()))

    return on_progress


def images_of(store, version, read_back):
    return [(record["key"], record["image"], record["label"]) for record in read_back(store, version)]


def test_the_loser_of_a_race_does_not_read_its_source_again(picture, store, read_back):
    theirs = [("b", picture(2), "theirs"), ("c", picture(3), "theirs"), ("x", picture(8), "theirs")]
    ours = ((key, picture(n), "ours") for key, n in (("a", 1), ("b", 2), ("x", 9)))  # can be read but once
    result = ingest(store, "d", image_records(ours), on_progress=meanwhile(store, theirs))
    assert result.committed and result.version.number == 2
    # Of the picture that both have, the row that was there first; of one that differs, the later writer's.
    assert sorted(images_of(store, result.version, read_back)) == [
        ("a", picture(1), "ours"),
        ("b", picture(2), "ours"),
        ("c", picture(3), "theirs"),
        ("x", picture(9), "ours"),
    ]
    assert not verify_store(store).damaged


def test_a_loser_with_nothing_new_commits_nothing(picture, store):
    records = [("a", picture(1), "l"), ("b", picture(2), "l")]
    result = ingest(store, "d", image_records(iter(records)), on_progress=meanwhile(store, records))
    assert not result.committed and result.version.number == 1 and len(result.version.shards) == 1


def test_a_race_over_what_both_had(picture, store, read_back):
    ingest(store, "d", image_records([("a", picture(1), "old"), ("b", picture(2), "old")]))
    theirs = [("a", picture(5), "theirs")]  # replaces what ours finds unchanged
    result = ingest(
        store, "d", image_records([("a", picture(1), "ours"), ("b", picture(2), "old")]),
        on_progress=meanwhile(store, theirs),
    )  # fmt: skip
    assert sorted(images_of(store, result.version, read_back)) == [("a", picture(1), "ours"), ("b", picture(2), "old")]
    assert result.version.number == 3
