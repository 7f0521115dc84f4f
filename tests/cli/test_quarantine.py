"""hapistore quarantine: what is left out as a table, as a file, and read again."""

from __future__ import annotations

import io

import pytest
from PIL import Image


@pytest.fixture
def store(tmp_path, source, answer):
    (source / "dog" / "none.png").write_bytes(b"")
    (source / "dog" / "up\x1b[2Jdown.png").write_bytes(b"")
    answer("ingest", "pets", source, "--store", tmp_path / "store")
    return tmp_path / "store"


def test_ls(store, answer, succeed):
    found = answer("quarantine", "ls", "pets", "--store", store)
    assert found["version"] == "pets@1"
    assert found["reasons"] == {"empty": 2, "not-an-image": 1}
    assert [image["key"] for image in found["quarantined"]] == ["cat/bad.jpg", "dog/none.png", "dog/up\x1b[2Jdown.png"]
    text = succeed("quarantine", "ls", "pets@1", "--store", store).stdout
    assert "\x1b" not in text and "dog/up\ufffd[2Jdown.png" in text
    assert text.index("empty") < text.index("not-an-image")
    short = succeed("quarantine", "ls", "pets", "--store", store, "--limit", "1").stdout
    assert "cat/bad.jpg" in short and "none.png" not in short and "3 in all" in short
    one = answer("quarantine", "ls", "pets", "--store", store, "--reason", "empty")
    assert one["reasons"] == {"empty": 2} and len(one["quarantined"]) == 2


def test_a_reason_that_there_is_not(store, hapistore):
    finished = hapistore("quarantine", "ls", "pets", "--store", store, "--reason", "emtpy")
    assert finished.returncode == 2
    assert "for reason 'emtpy'; there is empty, not-an-image" in finished.stderr


def test_export_and_retry(store, answer, succeed, hapistore, source, tmp_path):
    found = answer("quarantine", "export", "pets", "--out", tmp_path / "out.csv", "--store", store)
    assert found == {"version": "pets@1", "images": 3, "file": str(tmp_path / "out.csv")}
    assert (tmp_path / "out.csv").read_text().count("\n") == 4
    again = hapistore("quarantine", "export", "pets", "--out", tmp_path / "out.csv", "--store", store)
    assert again.returncode == 2 and "is there already" in again.stderr
    still = hapistore("quarantine", "retry", "pets", source, "--store", store)
    assert still.returncode == 1 and "none of the 3 images can be used" in still.stderr
    mended = io.BytesIO()
    Image.new("RGB", (8, 8)).save(mended, "PNG")
    (source / "dog" / "none.png").write_bytes(mended.getvalue())
    found = answer("quarantine", "retry", "pets", source, "--store", store)
    assert (found["version"], found["images"], found["before"], found["after"]) == ("pets@2", 1, 3, 2)
    assert found["missing"] == [] and len(found["quarantined"]) == 2
    nothing = succeed("quarantine", "ls", "pets@2", "--reason", "not-an-image", "--store", store)
    assert "cat/bad.jpg" in nothing.stdout
