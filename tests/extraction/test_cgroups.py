"""What control groups leave: a real group with a limit, and the files of both versions as they lie in containers."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from hapistore.extraction import cgroups

MB = 1 << 20
_NO_LIMIT_V1 = 9223372036854771712

_REPORT = """
import json
from hapistore.extraction import cgroups, memory
print(json.dumps({"group": cgroups.free_bytes(), "free": memory.free_bytes()}))
"""


def _make(limit: int) -> tuple[Path, Path] | None:
    """A group of that limit and one without a limit in it, of whichever version this machine lets us make."""
    for version, folder in cgroups._groups(Path("/proc/self")):
        name = "memory.limit_in_bytes" if version is cgroups._V1 else "memory.max"
        outer = folder / f"hapistore-test-{uuid.uuid4().hex}"
        try:
            outer.mkdir()
        except OSError:
            continue
        try:
            (outer / name).write_text(str(limit))
            if version is cgroups._V2:
                (outer / "cgroup.subtree_control").write_text("+memory")
            (outer / "inner").mkdir()
            return outer, outer / "inner"
        except OSError:
            outer.rmdir()
    return None


@pytest.fixture
def limited(environment):
    """Runs a command inside a group whose parent is limited to 900 MiB."""
    made = _make(900 * MB)
    if made is None:
        pytest.skip("this machine lets nobody make control groups of memory: not root, or a container without them")
    outer, inner = made

    def run(*command: object, **more) -> subprocess.CompletedProcess:
        enter = f'echo $$ > {inner}/cgroup.procs && exec "$@"'
        return subprocess.run(
            ["sh", "-c", enter, "sh", *map(str, command)],
            env={**environment, **more}, capture_output=True, text=True, timeout=240,
        )  # fmt: skip

    yield run
    inner.rmdir()
    outer.rmdir()


def test_a_limit_of_a_group_around_the_own_one_counts(limited):
    done = limited(sys.executable, "-c", _REPORT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 500 * MB < found["group"] < 900 * MB
    assert 500 * MB < found["free"] < 900 * MB


def test_extraction_in_a_limited_group_is_not_killed(limited, store, tmp_path):
    """Without --memory: the group's limit is what there is, and going beyond it is a SIGKILL."""
    done = limited(
        sys.executable, "-m", "hapistore", "extract", "mixed", "--backbone", "efficientnet_lite0", "--cut", "map",
        "--codec", "f16", "--max-batch", "4096", "--store", store.url, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 48


@pytest.fixture
def fake(tmp_path):
    """Writes the files of a process and its groups below ``tmp_path``."""
    (tmp_path / "proc").mkdir()

    def write(groups: str, mounts: str, files: dict[str, object]) -> Path:
        (tmp_path / "proc/cgroup").write_text(groups)
        (tmp_path / "proc/mountinfo").write_text(mounts.replace("ROOT", str(tmp_path)))
        for name, value in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n")
        return tmp_path / "proc"

    return write


V2 = "25 20 0:21 {root} ROOT/v2 rw - cgroup2 cgroup2 rw\n"
V1 = "35 31 0:32 {root} ROOT/v1 rw,relatime - cgroup cgroup rw,memory\n"
OTHER = "32 31 0:29 / ROOT/cpu rw,relatime - cgroup cgroup rw,cpu\n"


def test_version_2_takes_the_tightest_of_all_ancestors(fake):
    proc = fake(
        "0::/a/b/c\n", V2.format(root="/"),
        {
            "v2/a/memory.max": 500, "v2/a/memory.current": 300,
            "v2/a/memory.stat": "anon 250\ninactive_file 40\nactive_file 10",
            "v2/a/b/memory.max": "max", "v2/a/b/memory.current": 290, "v2/a/b/memory.high": 1000,
            "v2/a/b/c/memory.max": 900, "v2/a/b/c/memory.current": 100,
        },
    )  # fmt: skip
    assert cgroups.free_bytes(proc) == 500 - 300 + 40


def test_version_2_heeds_the_limit_that_slows_down(fake):
    proc = fake(
        "0::/a\n", V2.format(root="/"), {"v2/a/memory.max": 900, "v2/a/memory.high": 400, "v2/a/memory.current": 100}
    )
    assert cgroups.free_bytes(proc) == 300


def test_version_1_beside_an_empty_version_2(fake):
    proc = fake(
        "4:memory:/a/b\n2:cpu:/\n0::/\n", OTHER + V1.format(root="/") + V2.format(root="/"),
        {
            "v1/memory.limit_in_bytes": _NO_LIMIT_V1, "v1/memory.usage_in_bytes": 10**9,
            "v1/a/memory.limit_in_bytes": 700, "v1/a/memory.usage_in_bytes": 650,
            "v1/a/memory.stat": "cache 99\ninactive_file 1\ntotal_inactive_file 30",
            "v1/a/b/memory.limit_in_bytes": _NO_LIMIT_V1, "v1/a/b/memory.usage_in_bytes": 100,
        },
    )  # fmt: skip
    assert cgroups.free_bytes(proc) == 80


@pytest.mark.parametrize(
    ("groups", "root"),
    [
        ("0::/docker/abc\n", "/docker/abc"),  # the host's path, and only the own group mounted
        ("0::/\n", "/"),  # a group namespace
        ("0::/../outside\n", "/"),  # a process from outside of it
        ("0::/elsewhere\n", "/docker/abc"),
    ],
)
def test_in_a_container_what_is_mounted_on_top_counts(fake, groups, root):
    proc = fake(groups, V2.format(root=root), {"v2/memory.max": 500, "v2/memory.current": 200})
    assert cgroups.free_bytes(proc) == 300


def test_a_blank_in_a_mount_is_read(fake, tmp_path):
    proc = fake(
        "0::/\n", f"25 20 0:21 / {tmp_path}/with\\040blank rw - cgroup2 cgroup2 rw\n",
        {"with blank/memory.max": 500, "with blank/memory.current": 200},
    )  # fmt: skip
    assert cgroups.free_bytes(proc) == 300


def test_usage_above_the_limit_leaves_nothing(fake):
    proc = fake("0::/\n", V2.format(root="/"), {"v2/memory.max": 500, "v2/memory.current": 700})
    assert cgroups.free_bytes(proc) == 0


def test_no_limit_and_no_groups_are_no_answer(fake, tmp_path):
    assert cgroups.free_bytes(tmp_path / "absent") is None
    proc = fake("0::/a\n", V2.format(root="/"), {"v2/a/memory.max": "max", "v2/a/memory.current": 700})
    assert cgroups.free_bytes(proc) is None


def test_this_process_is_read_without_an_error():
    assert cgroups.free_bytes() is None or cgroups.free_bytes() >= 0
