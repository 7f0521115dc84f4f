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
from hapistore.stores.probing import probe_capabilities
from hapistore.stores.protocol import Capabilities
from hapistore.stores.retrying_store import RetryingStore

ROUNDS, WRITERS = 50, 8
WRITER = """
import sys
from hapistore.catalog import commit_version
from hapistore.stores import open_store
from hapistore_format import DatasetVersion, ShardRef

store, who = open_store(sys.argv[1]), sys.argv[2]

def build(newest, number):
    shard = ShardRef(images=f"{int(who):064x}", annotations="0" * 64, layout="arrow", rows=1, bytes=1)
    shards = (*(newest.shards if newest else ()), shard)
    return DatasetVersion(dataset=dataset, number=number, created="now", shards=shards)

print("ready", flush=True)
for line in sys.stdin:
    dataset = line.strip()
    print(commit_version(store, dataset, build).number, flush=True)
"""


@pytest.fixture
def urls(tmp_path, request):
    """Where commits are atomic, by name."""

    def url(kind: str) -> str:
        if kind == "folder":
            return str(tmp_path / "store")
        return request.getfixturevalue(kind).url(f"race/{uuid.uuid4().hex}")

    return url


@pytest.mark.parametrize("kind", ["folder", "seaweedfs"])
def test_every_commit_is_there_and_builds_on_the_one_before(urls, kind):
    url = urls(kind)
    store = open_store(url)
    ensure_marker(store)
    writers = [start(url, who) for who in range(1, WRITERS + 1)]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for number in range(ROUNDS):
            for writer in writers:
                writer.stdin.write(f"round-{number}\n")
                writer.stdin.flush()
            numbers = sorted(int(writer.stdout.readline()) for writer in writers)
            assert numbers == list(range(1, WRITERS + 1))
            seen: list[str] = []
            for version in (open_version(store, f"round-{number}", n) for n in numbers):
                assert [shard.images for shard in version.shards[:-1]] == seen
                seen = [shard.images for shard in version.shards]
            assert sorted(seen) == [f"{who:064x}" for who in range(1, WRITERS + 1)]
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


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
    def list(self, prefix=""):
        return iter(())


def test_what_a_store_does_not_keep_is_found_out():
    assert probe_capabilities(MemoryStore()) == Capabilities(atomic_create=True, consistent_list=True)
    assert not probe_capabilities(LetsAllWin()).atomic_create
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
