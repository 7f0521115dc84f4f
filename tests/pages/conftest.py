"""A data set with hostile names, its pages, and a page as a parser sees it."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hapistore.catalog import register_recipe, resolve_version
from hapistore.catalog.names import features_name
from hapistore.ingestion import IngestOptions, ingest, open_source
from hapistore.pages import ContactSheetOptions, ReportOptions, write_contact_sheet, write_report
from hapistore.stores import open_store
from hapistore_format import Recipe, write_feature_shard, write_weights
from hapistore_format.weights import RawTensor

HOSTILE = [
    "<script>document.title='taken'</script>",
    "</style><img src=http://127.0.0.1:9/x.png>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "&amp;lt;",
    "\u202egpj.exe",
    "a\x1b[2Jb",
    "long " * 100,
    "عربى",
    " ",
    None,
    "cat",
]


def picture(seed: int, size: tuple[int, int], kind: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


@dataclass
class Page(HTMLParser):
    """Elements as (tag, attributes), and the text in each element that has a class, by tag and class."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open:
            self.texts.append((self._open[-1], data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self) -> str:
        return "".join(text for tag, text in self.texts if tag != "style")


@pytest.fixture(scope="session")
def names() -> list[str | None]:
    """Labels of the hostile data set."""
    return HOSTILE


@pytest.fixture(scope="session")
def noise() -> Callable[..., bytes]:
    return picture


@pytest.fixture(scope="session")
def parse() -> Callable[[str], Page]:
    def run(text: str) -> Page:
        page = Page()
        page.feed(text)
        page.close()
        assert page._open == []
        return page

    return run


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A tab of Chromium, where there is one."""
    spec = importlib.util.spec_from_file_location("hapistore_pages_browser", Path(__file__).with_name("browser.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    chromium = module.find_chromium()
    if chromium is None:
        pytest.skip(f"no Chromium on the path ({', '.join(module.NAMES)})")
    opened = module.Browser(chromium, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def make_store(tmp_path_factory):
    """Ingests (key, image, label, subset) rows into dataset ``d`` of a new store."""

    def make(rows, **options):
        root = tmp_path_factory.mktemp("rows")
        with open(root / "all.jsonl", "w", encoding="utf-8") as manifest:
            for number, (key, image, label, subset) in enumerate(rows):
                (root / str(number)).write_bytes(image)
                row = {"path": str(number), "key": key, "label": label, "subset": subset}
                manifest.write(json.dumps(row) + "\n")
        store = open_store(root / "store")
        ingest(store, "d", open_source(root / "all.jsonl"), IngestOptions(check="full", **options))
        return store

    return make


@pytest.fixture(scope="session")
def hostile(make_store):
    """120 images under hostile labels and keys, in many shards, and two that are left out."""
    rows = []
    turned = Image.Exif()
    turned[0x0112] = 6
    for number in range(120):
        label = HOSTILE[number % len(HOSTILE)]
        more = {"exif": turned} if number == 0 else {}
        image = picture(number, (8 + 3 * number, 8 + (7 * number) % 200), ("JPEG", "PNG", "WEBP")[number % 3], **more)
        rows.append((f"{number}/{label}", image, label, ("train", "val", None)[number % 3]))
    rows.append(("empty<b>", b"", "cat", None))
    rows.append(("cut\n.jpg", picture(1, (90, 90))[:900], "cat", None))
    return make_store(rows, shard_bytes=400_000)


@pytest.fixture(scope="session")
def hostile_page(hostile, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_contact_sheet(hostile, "d", path, ContactSheetOptions(per_label=6))
    return path


def write_features(store, label: str, codec: str, *, shards: int | None = None, **chosen) -> Recipe:
    """Features of a dataset version, of its first shards or all, in a recipe whose fields may be chosen."""
    weights, data = write_weights({"w": RawTensor("F32", (1,), bytes(4))})
    usual = {"architecture": "tiny", "cut": "end", "preprocess": {}, "shape": (16,), "weights": weights}
    provenance = chosen.pop("provenance", {})
    recipe = Recipe(**{**usual, **chosen})
    register_recipe(store, recipe, data)
    for number, shard in enumerate(resolve_version(store, label).shards[:shards]):
        values = np.random.default_rng(number).normal(size=(shard.rows, *recipe.shape)).astype(np.float32)
        made = write_feature_shard(
            values, codec=codec, recipe=recipe.digest, images=shard.images, provenance=provenance
        )
        store.put(features_name(recipe.digest, codec, shard.images), made)
    return recipe


@pytest.fixture(scope="session")
def add_features() -> Callable[..., Recipe]:
    return write_features


RUNS: dict[str, dict[str, object]] = {
    "extract.json": {
        "dataset": "d", "version": 1, "recipe": "0" * 64, "images": 120, "shards_extracted": 3, "shards_transcoded": 0,
        "shards_present": 1, "executor": "<b>openvino</b> f32", "batch": 32, "peak_bytes": 1 << 29, "seconds": 4.0,
        "stage_seconds": {"fetch": 0.5, "decode": 2.25, "forward": 3.5, "<i>encode</i>": 0.25, "store": 0.0},
    },
    "ingest.json": {
        "dataset": "d", "version": 1, "committed": True, "images": 120, "bytes": 1 << 20, "shards": 4,
        "shards_written": 4, "quarantined": [{"key": "a"}, {"key": "b"}], "seconds": 2.0,
    },
    "plan.json": {
        "index": 2, "name": "pool", "predicted_epoch_s": 7.0, "policy": "cost", "link_bytes_per_s": 25e6,
        "candidates": [
            {"index": 0, "name": "images", "bytes_per_image": 30_000, "storage_s": 0.0, "link_s": 40.0,
             "compute_s": 20.0, "predicted_epoch_s": 41.0},
            {"index": 2, "name": "</svg><script>alert(1)</script>", "bytes_per_image": 500, "storage_s": 1.5,
             "link_s": 0.5, "compute_s": 6.0, "predicted_epoch_s": 7.0},
        ],
    },
    "profile.json": {
        "input_bytes_per_image": 30_000, "freeze_index": 2, "images": 1000, "overlap": "full", "cuts": [
            {"index": 0, "name": "images", "bytes_per_image": 30_000, "storage_s_per_image": 0,
             "compute_s_per_image": 0.02},
            {"index": 2, "name": "pool", "bytes_per_image": 5_000, "storage_s_per_image": 0.01,
             "compute_s_per_image": 0.001, "codecs": {"u8c+zstd": {
                 "bytes_per_image": 500, "storage_s_per_image": 0.0, "compute_s_per_image": 0.0}}},
        ],
    },
    "training.json": {
        "kind": "training", "dataset": "d@1", "epochs": [
            {"seconds": 4.0, "wait_seconds": 1.0, "bytes": 3000}, {"seconds": 1.0, "wait_seconds": 0.0, "bytes": 1000},
            {"seconds": 2.0, "bytes": 2000},
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def runs() -> dict[str, dict[str, object]]:
    """What users' files hold, by their names."""
    return RUNS


@pytest.fixture(scope="session")
def run_files(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name, run in RUNS.items():
        (folder / name).write_text(json.dumps(run))
    return [folder / name for name in RUNS]


@pytest.fixture(scope="session")
def featured(make_store):
    """40 images in several shards, in recipes with hostile names, in several codecs, one of them not finished."""
    rows = [(f"{number}", picture(number, (60, 60)), None, None) for number in range(40)]
    store = make_store(rows, shard_bytes=40_000)
    made_by = {"executor": "<u>torch</u>", "device": "cpu", "chosen": {"images_per_second": {"a<b": 7, "bad": "x"}}}
    for codec in ("f32", "u8c+zstd"):
        write_features(store, "d", codec, provenance=made_by)
    for number, name in enumerate(name for name in HOSTILE if name is not None):
        write_features(store, "d", "u8c", architecture=name, shards=2 if number % 2 else None)
    return store


@pytest.fixture(scope="session")
def report_page(featured, run_files, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(featured, ["d"], path, ReportOptions(links=(25e6, 113.5e6), runs=run_files))
    return path
