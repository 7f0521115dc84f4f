"""Where the store is: ``--store`` before ``HAPISTORE_STORE`` before ``./hapistore-data``."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture
def ingest(environment, source, tmp_path):
    """Ingests ``source`` in ``tmp_path`` under an environment variable; returns the folders made."""

    def run(variable: str | None, *arguments: str) -> set[str]:
        before = {path.name for path in tmp_path.iterdir()}
        variables = {name: value for name, value in environment.items() if name != "HAPISTORE_STORE"}
        subprocess.run(
            [sys.executable, "-m", "hapistore", "ingest", "pets", str(source), *arguments],
            env=variables if variable is None else {**variables, "HAPISTORE_STORE": variable},
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        return {path.name for path in tmp_path.iterdir()} - before

    return run


def test_precedence(ingest):
    assert ingest(None) == {"hapistore-data"}
    assert ingest("of-the-variable") == {"of-the-variable"}
    assert ingest("of-the-variable", "--store", "of-the-option") == {"of-the-option"}


def test_urls_of_folders_and_parents_that_are_missing(ingest, tmp_path):
    assert ingest(None, "--store", f"file://{tmp_path}/my%20store") == {"my store"}
    assert ingest(str(tmp_path / "one/two/three")) == {"one"}
    assert (tmp_path / "one/two/three/hapistore.json").is_file()
