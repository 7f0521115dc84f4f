"""Fixtures that more than one room uses: real photographs, and the command as a process."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

# Examples found are in the failure's text; nothing is written into the working directory.
settings.register_profile("hapistore", database=None, deadline=None)
settings.load_profile("hapistore")

# A shell that starts the tests in the background has them ignore Ctrl-C, and so what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory) -> Path:
    """The user's cache folder for this process and those it starts: nothing is written outside of pytest's own."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def photographs() -> list[Path]:
    """The ELPV photographs: 300×300 grey PNGs of 34 KB on average."""
    return sorted((Path(find_spec("elpv_dataset").origin).parent / "data/images").glob("*.png"))


@pytest.fixture(scope="session")
def imagenet() -> list[tuple[Path, int]]:
    """Foolbox's 20 ImageNet JPEGs, each with its class number."""
    folder = Path(find_spec("foolbox").origin).parent / "data"
    return [(path, int(path.stem.rpartition("_")[2])) for path in sorted(folder.glob("imagenet_*.jpg"))]


@pytest.fixture(scope="session")
def write_manifest():
    """Writes a manifest of (path, label) pairs; every fifth row is subset test."""

    def write(path: Path, images: list[tuple[Path, object]]) -> Path:
        with open(path, "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["path", "key", "label", "subset"])
            for row, (image, label) in enumerate(images):
                table.writerow([image, f"{row:04d}/{image.name}", label, "train" if row % 5 else "test"])
        return path

    return write


class Disk:
    """A file system of its own, in memory.

    Attributes:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def taken_bytes(self) -> int:
        """What all files take, those included that are unlinked and still open or mapped; of one moment, which adding
        up files is not."""
        status = os.statvfs(self.path)
        return (status.f_blocks - status.f_bfree) * status.f_frsize


@pytest.fixture
def mount_disk(tmp_path):
    """Mounts a disk of so many bytes; skips the test where that is not allowed."""
    mounted = []

    def mount(size: int) -> Disk:
        path = tmp_path / f"disk-{len(mounted)}"
        path.mkdir()
        options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
        if subprocess.run(options, capture_output=True).returncode:
            pytest.skip("needs the right to mount a tmpfs")
        mounted.append(path)
        return Disk(path)

    yield mount
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)


@pytest.fixture(scope="session")
def confinement() -> None:
    """Skips tests of programs that were sent where the kernel gives no process a network of its own."""
    from hapistore.extraction.executors.confining import NOT_CONFINED, confined_command

    done = subprocess.run(confined_command("this", ""), capture_output=True, text=True, timeout=60)
    if NOT_CONFINED in done.stderr:
        pytest.skip(done.stderr.strip())


@pytest.fixture(scope="session")
def environment(user_cache) -> dict[str, str]:
    """For processes that must find the packages as this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def hapistore(environment):
    """Runs ``hapistore …`` as a process of its own and returns the finished process."""

    def run(
        *arguments: object, variables: dict[str, str] | None = None, **more: object
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hapistore", *map(str, arguments)],
            env={**environment, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=300,
            **more,
        )

    return run
