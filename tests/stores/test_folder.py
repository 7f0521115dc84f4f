"""What a folder must do beyond the contract: nothing is lost in a crash, nothing appears that was not written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hapistore.errors import AlreadyExists, StoreError, UsageError
from hapistore.stores import FolderStore, open_store

RACER = """
import sys
from hapistore.errors import AlreadyExists
from hapistore.stores import FolderStore
store = FolderStore(sys.argv[1])
who = sys.argv[2]
print("ready", flush=True)
for line in sys.stdin:
    name = line.strip()
    try:
        store.create(name, who.encode() * 5000)
        print("won", flush=True)
    except AlreadyExists:
        print("lost", flush=True)
"""

FILLER = """
import resource, sys
from hapistore.errors import StoreError
from hapistore.stores import FolderStore
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
store = FolderStore(sys.argv[1])
for write in (store.create, store.put):
    try:
        write("a/b", bytes(10_000))
        sys.exit("a full disk went unnoticed")
    except StoreError as error:
        print(error)
"""


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_of_processes_that_create_at_once_one_wins(tmp_path, environment):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path / "store"), str(who)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in range(8)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    store = FolderStore(tmp_path / "store")
    for number in range(10):
        name = f"race/{number}"
        for racer in racers:
            racer.stdin.write(name + "\n")
        for racer in racers:
            racer.stdin.flush()
        results = [racer.stdout.readline().strip() for racer in racers]
        assert sorted(results) == ["lost"] * 7 + ["won"]
        assert bytes(store.get(name)) == str(results.index("won")).encode() * 5000
    for racer in racers:
        racer.communicate(timeout=30)
        assert racer.returncode == 0
    assert len(files_below(store.root)) == 10  # no temporary file is left


def test_what_a_crash_left_is_no_object(tmp_path):
    store = FolderStore(tmp_path)
    store.create("a", b"one")
    (tmp_path / ".tmp" / "leftover").write_bytes(b"half an obj")
    (tmp_path / ".DS_Store").write_bytes(b"")
    assert [info.name for info in store.list()] == ["a"]
    with pytest.raises(StoreError, match="no object name"):
        store.get(".tmp/leftover")


def test_a_store_on_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="is a file"):
        FolderStore(tmp_path / "file")


def test_opening_and_reading_write_nothing(tmp_path):
    store = open_store(tmp_path / "store")
    assert list(store.list()) == []
    for call in (store.get, store.head, store.delete):
        with pytest.raises(StoreError):
            call("a/b")
    assert list(tmp_path.iterdir()) == []


def test_writing_leaves_no_temporary_file(tmp_path):
    store = FolderStore(tmp_path)
    store.create("a/b", b"one")
    store.put("a/b", b"two")
    with pytest.raises(AlreadyExists):
        store.create("a/b", b"three")
    assert files_below(tmp_path) == [".lock", "a/b"]


def test_a_link_to_a_folder_is_not_walked(tmp_path):
    store = FolderStore(tmp_path / "store")
    store.create("a/b", b"one")
    (tmp_path / "store" / "loop").symlink_to(tmp_path / "store")
    assert [info.name for info in store.list()] == ["a/b"]


class Calls:
    """Records the real system calls that make a write durable, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[str, str]] = []
        self._record(monkeypatch, "fsync", lambda fd: str(Path(f"/proc/self/fd/{fd}").readlink()))
        self._record(monkeypatch, "link", lambda source, target: str(target))
        self._record(monkeypatch, "replace", lambda source, target: str(target))
        self._record(monkeypatch, "mkdir", lambda path, *more: str(path))

    def _record(self, monkeypatch, name, what):
        call = getattr(os, name)

        def recorded(*arguments, **more):
            result = call(*arguments, **more)
            self.seen.append((name, what(*arguments)))
            return result

        monkeypatch.setattr(os, name, recorded)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize(("verb", "naming"), [("create", "link"), ("put", "replace")])
def test_a_file_is_synced_before_it_is_named_and_its_folder_after(tmp_path, monkeypatch, verb, naming):
    store = FolderStore(tmp_path)
    store.create("x", b"")  # so that .tmp is there
    calls = Calls(monkeypatch)
    getattr(store, verb)("a/b/c", b"one")
    names = [(call, path.removeprefix(str(tmp_path))) for call, path in calls.seen]
    temporary = names[0][1]
    assert temporary.startswith("/.tmp/")
    assert names == [
        ("fsync", temporary),
        ("mkdir", "/a"),
        ("fsync", ""),
        ("mkdir", "/a/b"),
        ("fsync", "/a"),
        (naming, "/a/b/c"),
        ("fsync", "/a/b"),
    ]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_deletion_is_synced(tmp_path, monkeypatch):
    store = FolderStore(tmp_path)
    store.create("a/b", b"one")
    calls = Calls(monkeypatch)
    store.delete("a/b")
    assert calls.seen == [("fsync", str(tmp_path / "a"))]


def test_a_write_that_breaks_off_leaves_no_object(tmp_path, environment):
    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(tmp_path / "store")],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("a/b: File too large") == 2
    assert files_below(tmp_path) == []


def test_a_full_disk_leaves_no_object_and_keeps_what_was_there(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)]
    if os.geteuid() or subprocess.run(options, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        store = FolderStore(mount / "store")
        store.create("a", b"one")
        for write in (store.create, store.put):
            with pytest.raises(StoreError, match="b: No space left"):
                write("b", bytes(100_000))
        with pytest.raises(StoreError, match="a: No space left"):
            store.put("a", bytes(100_000))
        assert files_below(mount) == ["store/a"]
        assert bytes(store.get("a")) == b"one"
        store.create("b", b"two")
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_what_killed_writers_left_is_removed_by_age(tmp_path):
    store = FolderStore(tmp_path)
    store.create("a", b"one")
    old, young = tmp_path / ".tmp/old", tmp_path / ".tmp/young"
    for path in (old, young):
        path.write_bytes(b"half an obj")
    os.utime(old, (1000, 1000))
    assert store.clean_temporary(2000, dry_run=True) == 1 and old.exists()
    assert store.clean_temporary(2000) == 1
    assert not old.exists() and young.exists()
    assert bytes(store.get("a")) == b"one"
    assert FolderStore(tmp_path / "nothing").clean_temporary(2000) == 0
