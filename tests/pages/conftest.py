"""A data set with hostile names, its page, and the page as a parser sees it."""

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

from hapistore.ingestion import IngestOptions, ingest, open_source
from hapistore.pages import ContactSheetOptions, write_contact_sheet
from hapistore.stores import open_store

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
