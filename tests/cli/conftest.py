"""Fixtures of the command's tests: a source with something bad in it, and calls that must succeed."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Finished = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def write_source() -> Callable[..., Path]:
    """Writes a folder of class folders with noise images."""

    def write(folder: Path, count: int, *, side: int = 8) -> Path:
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            path = folder / ("cat", "dog")[number % 2] / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.getvalue())
        return folder

    return write


@pytest.fixture
def source(tmp_path, write_source) -> Path:
    """Six good images, a bad one and a file that is no image."""
    folder = write_source(tmp_path / "source", 6)
    (folder / "cat/bad.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("x")
    return folder


@pytest.fixture(scope="session")
def succeed(hapistore) -> Callable[..., Finished]:
    """Runs the command and expects status 0."""

    def run(*arguments: object, **more: Any) -> Finished:
        finished = hapistore(*arguments, **more)
        assert finished.returncode == 0, finished.stderr
        return finished

    return run


@pytest.fixture(scope="session")
def answer(succeed) -> Callable[..., dict[str, Any]]:
    """Runs the command with ``--json`` and returns the object it prints."""

    def run(*arguments: object, **more: Any) -> dict[str, Any]:
        found = json.loads(succeed(*arguments, "--json", **more).stdout)
        assert isinstance(found, dict)
        return found

    return run


@pytest.fixture(scope="session")
def run_all(hapistore) -> Callable[..., dict[str, Finished]]:
    """Runs many commands, two at a time, since each takes half a second to start."""

    def run(commands: dict[str, list[object]], **more: Any) -> dict[str, Finished]:
        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            finished = pool.map(lambda arguments: hapistore(*arguments, **more), commands.values())
            return dict(zip(commands, finished, strict=True))

    return run


@pytest.fixture(scope="session")
def files_below() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder with its bytes."""
    return lambda folder: {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
