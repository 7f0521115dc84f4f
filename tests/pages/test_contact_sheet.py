"""What stands on a contact sheet: everything once, everything escaped, and what is not there is said."""

from __future__ import annotations

import base64
import hashlib
import io
import re

import pytest
from PIL import Image

from hapistore.catalog import latest_version
from hapistore.errors import UsageError
from hapistore.ingestion import ingest, open_source
from hapistore.pages import ContactSheetOptions, write_contact_sheet


@pytest.fixture(scope="module")
def page(hostile_page, parse):
    return parse(hostile_page.read_text(encoding="utf-8"))


def test_nothing_on_it_loads_or_runs(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base", "video", "audio"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcset")], attributes
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:" if tag in ("img", "link") else "#"), value


def test_its_policy_allows_the_pictures_and_the_style_inside(page):
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    (style,) = [text for tag, text in page.texts if tag == "style"]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy and "unsafe" not in policy


def test_hostile_labels_are_text(page, names):
    written = [text for tag, text in page.texts if tag == "bdi"]
    for label in names:
        if label in ("\u202egpj.exe", "a\x1b[2Jb"):
            assert label not in written and label.encode("unicode_escape").decode() in written
        elif label is not None and label.strip() and len(label) < 100:
            assert label in written
    assert any(name.startswith("long long") and name.endswith("…") for name in written)
    assert "no label" in page.text() and "' '" in page.text()


def test_every_key_shown_is_an_alternative_text(page, names):
    alternatives = [img["alt"] for img in page.all("img")]
    assert len(alternatives) == len(set(alternatives)) == 6 * len(names)
    assert len([text for text in alternatives if text.endswith(str(names[0]))]) == 6


def test_thumbnails_are_small_and_upright(hostile, tmp_path, parse):
    write_contact_sheet(hostile, "d", tmp_path / "all.html", ContactSheetOptions(per_label=1000))
    page = parse((tmp_path / "all.html").read_text(encoding="utf-8"))
    sizes = {}
    for img in page.all("img"):
        image = Image.open(io.BytesIO(base64.b64decode(img["src"].partition(",")[2])))
        image.load()
        assert max(image.size) <= 96
        sizes[img["alt"].partition("/")[0]] = image.size
    assert len(sizes) == 120
    assert sizes["0"] == (8, 8) and sizes["1"] == (11, 15)
    assert "All 120 images are shown." in page.text()


def test_counts_subsets_and_sizes(page):
    text = page.text()
    assert re.search(r"images120labels12stored", text)
    assert text.count("10train") + text.count("10no subset") + text.count("10val") >= 4
    assert re.search(r"subsetstrain40val40no subset40", text)
    assert "72 of 120 images are shown" in text
    assert re.search(r"JPEG 40, PNG 40, WEBP 40|PNG 40, JPEG 40|WEBP 40", text)


def test_what_was_left_out_is_listed_with_reasons(page):
    text = page.text()
    assert "2 that could not be used" in text
    assert "empty<b>empty0 bytes" in text
    assert r"cut\n.jpgtruncated" in text


def test_equal_versions_give_equal_pages(hostile, hostile_page, tmp_path):
    write_contact_sheet(hostile, "d@1", tmp_path / "again.html", ContactSheetOptions(per_label=6))
    assert (tmp_path / "again.html").read_bytes() == hostile_page.read_bytes()


def test_many_labels_in_many_shards_are_sampled(make_store, noise, tmp_path, parse):
    """300 labels sorted as class folders are, one image file reused, in about 60 shards: few of them are read."""
    images = [noise(seed, (20, 20), "PNG") for seed in range(3)]
    rows = [(f"{label:03d}/{n}", images[n], f"label {label:03d}", None) for label in range(300) for n in range(3)]
    store = make_store(rows, shard_bytes=20_000)
    version = latest_version(store, "d")
    assert len(version.shards) > 50
    result = write_contact_sheet(store, "d", tmp_path / "p.html", ContactSheetOptions(labels=5, per_label=2))
    assert (result.labels, result.labels_shown, result.images_shown) == (300, 5, 10)
    assert result.shards_read < len(version.shards) / 2
    page = parse((tmp_path / "p.html").read_text())
    text = page.text()
    assert len(page.all("img")) == 10
    assert "295 without pictures here" in text
    assert re.search(r"10 of 900 images are shown, .* over \d+ of \d+ shards", text)
    many = write_contact_sheet(store, "d", tmp_path / "m.html", ContactSheetOptions(labels=200, per_label=1))
    assert many.images_shown == 200 and many.shards_read < len(version.shards)


def test_dropped_images_are_not_shown(tmp_path, make_store, noise, parse):
    store = make_store([("a", noise(1, (30, 20)), "x", None), ("b", noise(2, (30, 20)), "x", None)])
    (tmp_path / "a.jpg").write_bytes(noise(9, (50, 20)))
    (tmp_path / "all.jsonl").write_text('{"path": "a.jpg", "key": "a", "label": "x"}\n')
    ingest(store, "d", open_source(tmp_path / "all.jsonl"))
    result = write_contact_sheet(store, "d", tmp_path / "p.html")
    page = parse((tmp_path / "p.html").read_text())
    assert result.images == 2 and [img["alt"] for img in page.all("img")] == ["b", "a"]
    assert "dropped1" in page.text()


def test_a_file_that_is_there_stays_unless_told(hostile, tmp_path):
    (tmp_path / "p.html").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        write_contact_sheet(hostile, "d", tmp_path / "p.html")
    assert (tmp_path / "p.html").read_text() == "mine"
    write_contact_sheet(hostile, "d", tmp_path / "p.html", ContactSheetOptions(replace=True))
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    with pytest.raises(UsageError, match="there is no folder"):
        write_contact_sheet(hostile, "d", tmp_path / "none" / "p.html")
    with pytest.raises(UsageError, match="no dataset 'e'"):
        write_contact_sheet(hostile, "e", tmp_path / "q.html")
    assert [file.name for file in tmp_path.iterdir()] == ["p.html"]
