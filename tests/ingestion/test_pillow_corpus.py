"""Pillow's own test images, a thousand files of every sort: each is ingested and decodes, or is quarantined.

They come in Pillow's source distribution (47 MB), fetched once into the user's cache folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

VERSION = "13.0.0"
SHA256 = "cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510"
ARCHIVE = f"pillow-{VERSION}.tar.gz"
MEMORY_BYTES = 3 << 30  # of address space: what the largest image allowed takes, threads' stacks, libraries
REASONS = {
    *("empty", "not-an-image", "unsupported-format", "too-many-pixels", "truncated", "undecodable"),
    *("unreadable-file", "too-large"),
}
FOREIGN = (".eps", ".psd", ".dds", ".icns", ".ico", ".cur", ".fli", ".sgi", ".qoi", ".blp", ".fits", ".heif")
# Whatever is ingested decodes as it will in extraction, and its header is the one that Pillow reads.
CHECK = """
import json, sys
from pathlib import Path
from hapistore.catalog import open_image_shard, resolve_version
from hapistore.catalog.names import annotations_name
from hapistore.errors import ImageError
from hapistore.images import Preprocess, check_image, decode_rgb, read_header
from hapistore.images.header import header_of, open_image
from hapistore.stores import open_store
from hapistore_format import AnnotationShard

def outcome(call, data):
    try:
        return call(data)
    except ImageError as error:
        return error.reason

def pillows(data):
    with open_image(data) as image:
        return header_of(image)

store, folder = open_store(sys.argv[1]), Path(sys.argv[2])
step = Preprocess(resize_px=24, crop_px=(24, 24), mean_levels=(0, 0, 0), std_levels=(1, 1, 1))
kept, sizes = [], set()
for shard in resolve_version(store, "corpus").shards:
    images = open_image_shard(store, shard)
    name = annotations_name(shard.annotations)
    for row, key in enumerate(AnnotationShard(store.get(name), where=name).table["key"].to_pylist()):
        data = bytes(images.image(row))
        assert data == (folder / key).read_bytes(), key
        assert step(data).shape == (24, 24, 3), key
        size = tuple(images.column(side)[row].as_py() for side in ("width", "height"))
        turned = images.column("orientation")[row].as_py() > 4
        assert decode_rgb(data).size == (size[::-1] if turned else size), key
        kept.append(key)
for path in sorted(folder.rglob("*")):
    if path.is_file():
        data = path.read_bytes()
        whole = outcome(check_image, data)
        if not isinstance(whole, str):
            assert read_header(data) == whole, path
        else:
            assert outcome(decode_rgb, data) == whole, path
        assert outcome(read_header, data) == outcome(pillows, data), path
print(json.dumps(kept))
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """The folder of Pillow's test images, with a manifest of all its files beside it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hapistore-tests"
    archive = cache / ARCHIVE
    if not archive.exists() or digest(archive) != SHA256:
        fetch(cache, tmp_path_factory.mktemp("fetched"))
    assert digest(archive) == SHA256
    root = tmp_path_factory.mktemp("corpus")
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and "/Tests/images/" in member.name:
                tar.extract(member, root, filter="data")
    folder = root / f"pillow-{VERSION}" / "Tests" / "images"
    keys = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    (folder.parent / "all.jsonl").write_text(
        "".join(json.dumps({"path": f"images/{k}", "key": k}) + "\n" for k in keys)
    )
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(cache: Path, scratch: Path) -> None:
    """Have pip fetch the source distribution from wherever it is configured to; pip also prepares to build it."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "pillow", "--ignore-requires-python",
         "--disable-pip-version-check", "--quiet", "--dest", str(scratch), f"pillow=={VERSION}"],
        capture_output=True, text=True, timeout=540,
    )  # fmt: skip
    if "No module named pip" in done.stderr or "No matching distribution found for pillow" in done.stderr:
        pytest.skip(f"no package index has the source distribution of Pillow {VERSION}")
    assert done.returncode == 0, done.stderr
    cache.mkdir(parents=True, exist_ok=True)
    partial = cache / f"{ARCHIVE}.{os.getpid()}"
    partial.write_bytes((scratch / ARCHIVE).read_bytes())
    partial.replace(cache / ARCHIVE)


# Sets the limit in the process itself: running code between fork and exec is unsafe where the parent has threads.
LIMITED = f"""
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY_BYTES}, {MEMORY_BYTES}))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def ingest(corpus, environment, tmp_path_factory):
    """Ingests all files, in a process with little memory; returns what it says."""
    folder = tmp_path_factory.mktemp("pillow")

    def run(check: str, name: str = "store") -> dict:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, "-m", "hapistore", "ingest", "corpus", str(corpus.parent / "all.jsonl"),
             "--json", "--check", check, "--threads", "2", "--shard-size", "4MiB", "--store", str(folder / name)],
            env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
        return json.loads(done.stdout)

    run.store = folder / "store"
    return run


@pytest.fixture(scope="module")
def first(ingest) -> dict:
    return ingest("full")


def test_every_file_is_ingested_or_quarantined_with_a_reason(first, corpus):
    files = {path.relative_to(corpus).as_posix() for path in corpus.rglob("*") if path.is_file()}
    left_out = {image["key"]: image for image in first["quarantined"]}
    assert first["images"] + len(left_out) == len(files) > 900
    assert first["images"] > 600
    assert set(left_out) <= files
    for image in left_out.values():
        assert image["reason"] in REASONS and image["detail"] and "\n" not in image["detail"], image


def test_formats_that_are_not_read_are_named(first):
    foreign = [image for image in first["quarantined"] if image["key"].endswith(FOREIGN)]
    assert len(foreign) > 130
    assert {image["reason"] for image in foreign} == {"unsupported-format"}


def test_whatever_is_ingested_decodes_and_nothing_else_does(first, corpus, ingest, environment):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "-W", "ignore", "-c", CHECK, str(ingest.store), str(corpus)],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    kept = json.loads(done.stdout)
    assert len(kept) == len(set(kept)) == first["images"]
    assert not set(kept) & {image["key"] for image in first["quarantined"]}


def test_by_headers_where_they_are_usual_the_same_are_left_out(first, ingest):
    headers = ingest("header", "headers")
    assert headers["images"] == first["images"]
    assert headers["quarantined"] == first["quarantined"]
    again = ingest("header", "headers")
    assert not again["committed"] and again["quarantined"] == headers["quarantined"]


def test_a_second_run_adds_nothing(first, ingest):
    before = sizes(ingest.store)
    second = ingest("full")
    assert sizes(ingest.store) == before
    assert not second["committed"] and second["version"] == first["version"]
    assert second["quarantined"] == first["quarantined"]


def sizes(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
