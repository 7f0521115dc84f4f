"""What stands in a report: what the store holds, everything escaped, and what is estimated or missing is said."""

from __future__ import annotations

import re

import pytest

from hapistore.catalog import latest_version
from hapistore.errors import DamagedError, UsageError
from hapistore.ingestion import ingest, open_source
from hapistore.pages import ReportOptions, write_report
from hapistore.stores.wrappers import CountingStore
from hapistore.units import format_bytes, format_seconds
from hapistore_format import Augmentation


@pytest.fixture
def small(make_store, noise):
    """Six images in shards of two or so."""
    return make_store([(f"{n}", noise(n, (60, 60)), "x", None) for n in range(6)], shard_bytes=8_000)


@pytest.fixture
def report(parse, tmp_path):
    """Writes a report, and returns the page as parsed, its text with single spaces, and the result."""

    def write(store, *datasets, **options):
        path = tmp_path / "page.html"
        result = write_report(store, datasets, path, ReportOptions(replace=True, **options))
        page = parse(path.read_text(encoding="utf-8"))
        return page, re.sub(r"\s+", " ", page.text()), result

    return write


def stored(store, prefix):
    return sum(info.bytes for info in store.list(prefix))


def test_nothing_on_it_loads_or_runs(report_page, parse):
    page = parse(report_page.read_text(encoding="utf-8"))
    assert not {tag for tag, _ in page.elements} & {"script", "iframe", "object", "form", "base", "img", "u"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")], attributes
        assert (attributes.get("href") or "#").startswith("data:" if tag == "link" else "#")
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-") and "unsafe" not in policy


def test_hostile_names_are_text(report_page, parse, names):
    page = parse(report_page.read_text(encoding="utf-8"))
    written = {text for tag, text in page.texts if tag == "bdi"}
    for name in names:
        if name in ("\u202egpj.exe", "a\x1b[2Jb"):
            assert name.encode("unicode_escape").decode() + ":end" in written
        elif name is not None and len(name) < 100:
            assert f"{name}:end" in written
    text = page.text()
    assert "\u202e" not in text and "\x1b" not in text
    assert "<u>torch</u> on cpu" in text and "a<b 7" in text and "</svg><script>alert(1)</script> ← chosen" in text
    assert "<b>openvino</b> f32" in text and "<i>encode</i>" in text


def test_its_figures_are_those_of_the_store(small, add_features, report):
    plain = add_features(small, "d", "u8c+zstd")
    add_features(small, "d", "f32")
    page, text, result = report(small, "d", epochs=50, links=(25e6,))
    images, version = stored(small, "images/"), latest_version(small, "d")
    (holding,) = result.holdings
    assert version.size_bytes == images and len(version.shards) > 1
    for one in holding.features:
        size = stored(small, f"features/{plain.digest}/{one.codec}/")
        assert (one.bytes, one.epoch_bytes, one.shards) == (size, size, len(version.shards))
        for figure in (size / 6, size, 50 * size):
            assert format_bytes(figure) in text
        assert format_seconds(size / 25e6) in text and format_seconds(size / (10e9 / 8)) in text
    for figure in (images / 6, images, 50 * images, stored(small, "features/"), stored(small, "models/")):
        assert format_bytes(figure) in text
    best = stored(small, f"features/{plain.digest}/u8c+zstd/")
    assert f"50 epochs pull {format_bytes(50 * images)} as images, {format_bytes(50 * best)} as u8c+zstd" in text
    assert f"{images / best:.1f}× fewer bytes" in text and "bytes divided by the link" in text and "alone" in text
    assert "200 Mbit/s (yours)" in text
    assert page.all("svg")


def test_features_larger_than_images_are_said_to_be(small, add_features, report):
    add_features(small, "d", "f32", shape=(64, 16, 16))
    _, text, _ = report(small, "d")
    assert re.search(r"[\d.]+× more bytes", text)


def test_partial_features_are_estimates(small, add_features, report):
    recipe = add_features(small, "d", "u8c", shards=1)
    _, text, result = report(small, "d")
    shards, (one,) = latest_version(small, "d").shards, result.holdings[0].features
    there = stored(small, f"features/{recipe.digest}/u8c/")
    assert (one.complete, one.bytes, one.epoch_bytes) == (False, there, round(6 * there / shards[0].rows))
    assert f"1 of {len(shards)} shards" in text and f"≈ {format_bytes(one.epoch_bytes)}" in text
    assert "No features are complete yet" in text and "≈ is what all shards would take" in text


def test_no_features_at_all(small, report):
    _, text, result = report(small, "d")
    assert result.holdings[0].features == () and result.holdings[0].smallest is None
    assert "There are no features yet" in text and "hapistore extract d@1 --backbone" in text


def test_variants_stand_together(small, add_features, report):
    add_features(small, "d", "u8c")
    for variant in range(3):
        of = Augmentation(seed=0, variant=variant, crop_percent=None, flip=True, colour_percent=(0, 0, 0))
        add_features(small, "d", "u8c", augmentation=of)
    _, text, result = report(small, "d")
    plain, varied = result.holdings[0].features
    assert (plain.variants, varied.variants, varied.label) == (0, 3, "tiny:end + 3 × flip")
    assert varied.bytes == varied.epoch_bytes == 3 * plain.bytes and result.holdings[0].recipes == 4
    assert "draws from variants pulls all of them" in text


def test_recipes_of_one_name_are_told_apart(small, add_features, report):
    digests = {add_features(small, "d", "u8c", preprocess={"n": n}).digest[:8] for n in range(2)}
    _, _, result = report(small, "d")
    assert {one.label for one in result.holdings[0].features} == {f"tiny:end ({digest})" for digest in digests}


def test_several_datasets_and_whose_runs_are_whose(small, report, run_files, tmp_path, noise):
    (tmp_path / "e").mkdir()
    (tmp_path / "e/1.jpg").write_bytes(noise(99, (30, 30)))
    ingest(small, "e", open_source(tmp_path / "e"))
    page, text, result = report(small, "e", "d", runs=run_files)
    assert [holding.version.label for holding in result.holdings] == ["e@1", "d@1"]
    assert [a["href"] for a in page.all("a")] == ["#dataset-1", "#dataset-2"]
    assert {article["id"] for article in page.all("article")} == {"dataset-1", "dataset-2"}
    of_d = text[text.rindex("d@1committed") :]
    assert "Extractionextract.json" in of_d and "Trainingtraining.json" in of_d and "Nothing is known of runs" in text
    assert re.search(r"Plansthe files do not say of which dataset ?Planplan.json.*Planprofile.json", of_d)
    with pytest.raises(UsageError, match=r"^extract.json is of d@1, the report of e@1; name d too, or"):
        report(small, "e", runs=run_files)
    with pytest.raises(UsageError, match="each once"):
        report(small, "d", "d@1")


def test_two_reports_are_the_same(featured, run_files, report_page, tmp_path):
    options = ReportOptions(links=(25e6, 113.5e6), runs=run_files)
    write_report(featured, ["d@1"], tmp_path / "again.html", options)
    assert (tmp_path / "again.html").read_bytes() == report_page.read_bytes()


def test_it_reads_one_small_shard_of_each_kind_of_features(small, add_features, tmp_path):
    for codec in ("u8c", "f32"):
        add_features(small, "d", codec)
    counting = CountingStore(small)
    write_report(counting, ["d"], tmp_path / "p.html")
    least = sum(
        min(info.bytes for info in small.list("features/") if f"/{codec}/" in info.name) for codec in ("u8c", "f32")
    )
    others = stored(small, "datasets/") + stored(small, "recipes/") + 2000
    assert least < counting.counts.received_bytes < least + others
    assert counting.counts.received_bytes < stored(small, "features/")


def test_damage_is_an_error_and_no_page(small, add_features, tmp_path):
    recipe = add_features(small, "d", "u8c")
    (name, *_) = sorted((info.bytes, info.name) for info in small.list(f"features/{recipe.digest}/"))[0][1:]
    small.put(name, bytes(small.get(name))[:-9] + b"x" + bytes(small.get(name))[-8:])
    with pytest.raises(DamagedError):
        write_report(small, ["d"], tmp_path / "p.html")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_unless_told(small, tmp_path):
    page = tmp_path / "p.html"
    page.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        write_report(small, ["d"], page)
    assert page.read_text() == "mine"
    for dataset in ("e", "<script>", "d@9", "../d"):
        with pytest.raises(UsageError):
            write_report(small, [dataset], page, ReportOptions(replace=True))
    with pytest.raises(UsageError, match="links; expected 6 at most"):
        ReportOptions(links=(1e6,) * 7)
    assert [file.name for file in tmp_path.iterdir()] == ["p.html"] and page.read_text() == "mine"
