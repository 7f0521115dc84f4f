"""Eight processes commit to one dataset at once: every commit is there, in some order, none overwritten."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from hapistore.catalog import ensure_marker, open_version, require_commits
from hapistore.errors import UsageError
from hapistore.stores import MemoryStore, open_store
from hapistore.stores.probing import is_created_once, probe_capabilities
from hapistore.stores.protocol import Capabilities
from hapistore.stores.retrying_store import RetryingStore

ROUNDS, AT_ONCE, WRITERS = 50, 10, 8  # races of different datasets, some at once: some servers let losers wait
WRITER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from hapistore.catalog import commit_version
from hapistore.stores import open_store
from hapistore_format import DatasetVersion, ShardRef

store, who = open_store(sys.argv[1]), sys.argv[2]

def commit(dataset):
    def build(newest, number):
        shard = ShardRef(images=f"{int(who):064x}", annotations="0" * 64, layout="arrow", rows=1, bytes=1)
        shards = (*(newest.shards if newest else ()), shard)
        return DatasetVersion(dataset=dataset, number=number, created="now", shards=shards)

    return commit_version(store, dataset, build).number

print("ready", flush=True)
with ThreadPoolExecutor(10) as pool:
    for line in sys.stdin:
        print(*pool.map(commit, line.split()), flush=True)
"""


@pytest.fixture
def urls(tmp_path, request):
    """Where commits are atomic, by name."""

    def url(kind: str) -> str:
        if kind == "folder":
            return str(tmp_path / "store")
        return request.getfixturevalue(kind).url(f"race/{uuid.uuid4().hex}")

    return url


@pytest.mark.parametrize("kind", ["folder", "seaweedfs", "azurite"])
def test_every_commit_is_there_and_builds_on_the_one_before(urls, kind):
    url = urls(kind)
    store = open_store(url)
    ensure_marker(store)
    writers = [start(url, who) for who in range(1, WRITERS + 1)]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for first in range(0, ROUNDS, AT_ONCE):
            datasets = [f"round-{number}" for number in range(first, first + AT_ONCE)]
            for writer in writers:
                writer.stdin.write(" ".join(datasets) + "\n")
                writer.stdin.flush()
            answers = [[int(number) for number in writer.stdout.readline().split()] for writer in writers]
            for dataset, *numbers in zip(datasets, *answers, strict=True):
                check(store, dataset, sorted(numbers))
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def check(store, dataset: str, numbers: list[int]) -> None:
    assert numbers == list(range(1, WRITERS + 1))
    seen: list[str] = []
    for version in (open_version(store, dataset, number) for number in numbers):
        assert [shard.images for shard in version.shards[:-1]] == seen
        seen = [shard.images for shard in version.shards]
    assert sorted(seen) == [f"{who:064x}" for who in range(1, WRITERS + 1)]


def start(url: str, who: int) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), str(root / "format"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url, str(who)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


class LetsAllWin(MemoryStore):
    """Takes a creation for a write, as servers do that ignore conditions."""

    def create(self, name, data):
        self.put(name, data)


class ListsLate(MemoryStore):
    def list(self, prefix="", *, after=""):
        return iter(())


def test_what_a_store_does_not_keep_is_found_out():
    assert probe_capabilities(MemoryStore()) == Capabilities(atomic_create=True, consistent_list=True)
    assert not probe_capabilities(LetsAllWin()).atomic_create
    assert is_created_once(MemoryStore()) and not is_created_once(LetsAllWin())
    assert not probe_capabilities(ListsLate()).consistent_list
    store = MemoryStore()
    probe_capabilities(store)
    assert list(store.list()) == []  # it cleans up


def test_without_atomic_creation_a_sole_writer_must_vouch():
    class Loose(MemoryStore):
        capabilities = Capabilities(atomic_create=False, consistent_list=True)

    with pytest.raises(UsageError, match="--single-writer"):
        require_commits(RetryingStore(Loose()))
    require_commits(RetryingStore(Loose(), sole_writer=True))
