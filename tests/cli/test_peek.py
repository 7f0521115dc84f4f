"""hapistore peek: a page, and what it shows of what there is."""

from __future__ import annotations


def test_peek(answer, succeed, hapistore, source, tmp_path):
    store, page = tmp_path / "store", tmp_path / "pets.html"
    answer("ingest", "pets", source, "--store", store)
    found = answer("peek", "pets", "--out", page, "--store", store, "--labels", "1", "--per-label", "2")
    assert found == {
        "version": "pets@1",
        "images": 6,
        "images_shown": 2,
        "labels": 2,
        "labels_shown": 1,
        "shards_read": 1,
        "left_out": 1,
        "bytes": page.stat().st_size,
        "file": str(page),
    }
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 2 and "cat/bad.jpg" in text
    again = hapistore("peek", "pets", "--out", page, "--store", store)
    assert again.returncode == 2 and "is there already" in again.stderr and page.read_text(encoding="utf-8") == text
    said = succeed("peek", "pets@1", "--out", page, "--store", store, "--replace").stdout
    assert said.startswith(f"{page}: 6 of 6 images of pets@1, 2 of 2 labels, ")


def test_peek_of_nothing(hapistore, tmp_path):
    finished = hapistore("peek", "pets", "--out", tmp_path / "p.html", "--store", tmp_path / "none")
    assert finished.returncode == 2 and "no hapistore store at" in finished.stderr
    assert not (tmp_path / "p.html").exists()
