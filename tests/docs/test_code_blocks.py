"""Code blocks in the documents run: bash line by line, Python as a script, in the order they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/sources.md",
    "docs/augmentation.md",
    "docs/reading.md",
    "docs/cache.md",
    "docs/pages.md",
    "docs/planning.md",
    "docs/serving.md",
]
# Threads that wait for each other make PyTorch's steps fifty times as slow beside other tests.
ALONE = {"OMP_NUM_THREADS": "1"}
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[tuple[str, str]]:
    return _BLOCK.findall((ROOT / name).read_text())


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_there_are_blocks_to_run():
    assert [language for language, _ in blocks("README.md")] == ["bash", "bash", "python"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_run(document, tmp_path, imagenet, hapistore, environment):
    write_sources(tmp_path, [path for path, _ in imagenet[:10]])
    for language, text in blocks(document):
        if language == "bash":
            for line in filter(None, text.splitlines()):
                run_line(shlex.split(line), hapistore, tmp_path)
        elif language == "python":
            script = tmp_path / "script.py"
            # Loader workers that are spawned import the script again.
            script.write_text(text)
            done = subprocess.run(
                [sys.executable, script], cwd=tmp_path, env={**environment, **ALONE}, capture_output=True, text=True,
                timeout=240,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        else:
            assert language == "text", f"what is a {language} block?"


def write_sources(folder: Path, images: list[Path]) -> None:
    """The same photographs as every kind of source that the documents name."""
    for kind in ("photos/cat", "photos/dog", "shards", "data"):
        (folder / kind).mkdir(parents=True)
    for number, path in enumerate(images):
        (folder / "photos" / ("cat" if number % 2 else "dog") / path.name).write_bytes(path.read_bytes())
        with tarfile.open(folder / f"shards/train-00{number % 2}.tar", "w" if number < 2 else "a") as tar:
            tar.add(path, path.name)
    rows = [f"{path},{number % 2}\n" for number, path in enumerate(images)]
    (folder / "cells.csv").write_text("path,defect\n" + "".join(rows))
    table = pa.table({"image": [path.read_bytes() for path in images], "id": [path.stem for path in images]})
    pq.write_table(table, folder / "data/train-00000-of-00001.parquet")


def run_line(words: list[str], hapistore, folder: Path) -> None:
    if words[0] == "make":  # running the tests from the tests would never end
        assert set(words[1:]) <= make_targets()
        return
    assert words[0] == "hapistore", words
    done = hapistore(*words[1:], cwd=folder, variables=ALONE)
    assert done.returncode == 0, done.stderr
