"""Fixtures of the ingest tests: small images, trees of files, and a version's records read back."""

from __future__ import annotations

import importlib
import io
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import pyarrow as pa
import pytest
from obstore.store import S3Store
from PIL import Image

from hapistore.catalog import open_image_shard
from hapistore.catalog.names import annotations_name
from hapistore.ingestion import IngestOptions, IngestResult, Source, ingest, open_source
from hapistore.ingestion.sources import ImageRef
from hapistore.stores import ObjectStore, open_store
from hapistore_format import AnnotationShard, DatasetVersion

Record = dict[str, Any]
SERVERS = Path(__file__).resolve().parents[1] / "servers"


@pytest.fixture(scope="session")
def seaweedfs_server(tmp_path_factory) -> Iterator[Any]:
    """A real object store on loopback."""
    with _server("seaweedfs")(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def faulty_proxy() -> Callable[..., Any]:
    """Starts a proxy that breaks requests; see ``tests/servers/faulty_proxy.py``."""
    return _server("faulty_proxy")


def _server(module: str) -> Callable[..., Any]:
    sys.path.insert(0, str(SERVERS))
    try:
        return getattr(importlib.import_module(module), module)
    finally:
        sys.path.remove(str(SERVERS))


@pytest.fixture
def bucket(seaweedfs_server, monkeypatch) -> Any:
    """Writes objects of any name into a new prefix; ``bucket.url(pattern)`` is below it."""
    for name, value in seaweedfs_server.environment.items():
        monkeypatch.setenv(name, value)
    return Prefix(seaweedfs_server, uuid.uuid4().hex)


@dataclass(frozen=True)
class Prefix:
    """A folder of a bucket that a test has for itself."""

    server: Any
    name: str

    def url(self, name: str = "") -> str:
        return self.server.url(f"{self.name}/{name}")

    def put(self, name: str, data: bytes) -> None:
        client = S3Store(
            "hapistore-tests", endpoint=self.server.endpoint, region="us-east-1", client_options={"allow_http": True}
        )
        obstore.put(client, f"{self.name}/{name}", data)


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """Encoded noise, another for every seed."""

    def encode(seed: int, format: str = "PNG", size: tuple[int, int] = (8, 6), **options: Any) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format, **options)
        return file.getvalue()

    return encode


@pytest.fixture
def tree(tmp_path) -> Callable[..., Path]:
    """Writes files by relative name, and returns the folder they lie in."""

    def write(files: dict[str, bytes | str], folder: str = "source") -> Path:
        for name, content in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / folder

    return write


@dataclass(frozen=True)
class Listed:
    """A source's chunks, put together."""

    annotations: pa.Table
    images: list[ImageRef]
    ignored: dict[str, int]


@pytest.fixture(scope="session")
def listed() -> Callable[[Source], Listed]:
    def take(source: Source) -> Listed:
        listing = source.listing()
        chunks = list(listing.chunks)
        annotations = pa.concat_tables([chunk.annotations for chunk in chunks], promote_options="permissive")
        images = [image for chunk in chunks for image in chunk.images]
        assert len(images) == annotations.num_rows and listing.records in (None, len(images))
        return Listed(annotations, images, listing.ignored)

    return take


@pytest.fixture
def store(tmp_path) -> ObjectStore:
    return open_store(tmp_path / "store")


@pytest.fixture
def take(store) -> Callable[..., IngestResult]:
    """Ingests a path into dataset ``d`` of ``store``."""

    def run(source: Path, *, into: ObjectStore = store, columns: dict[str, str] | None = None, **options: Any):
        return ingest(into, "d", open_source(source, **(columns or {})), IngestOptions(**options))

    return run


@pytest.fixture
def kept(store, read_back) -> Callable[..., dict[str, Record]]:
    """Ingests a source into dataset ``d`` of ``store``; what is stored of it, by key."""

    def keep(source: Source) -> dict[str, Record]:
        result = ingest(store, "d", source)
        assert not result.quarantined, result.quarantined
        return {record["key"]: record for record in read_back(store, result.version)}

    return keep


@pytest.fixture(scope="session")
def read_back() -> Callable[..., list[Record]]:
    """The live records of a version, in order, with all that is stored of them."""

    def read(store: ObjectStore, version: DatasetVersion, *, dropped: bool = False) -> list[Record]:
        records = []
        for shard in version.shards:
            images = open_image_shard(store, shard)
            name = annotations_name(shard.annotations)
            rows = AnnotationShard(store.get(name), where=name).table.to_pylist()
            assert len(images) == len(rows) == shard.rows
            for number, row in enumerate(rows):
                stored = {n: images.column(n)[number].as_py() for n in ("width", "height", "orientation", "format")}
                if row.pop("dropped") == dropped:
                    records.append({**row, **stored, "image": bytes(images.image(number))})
        return records

    return read


@pytest.fixture(scope="session")
def objects() -> Callable[[ObjectStore], dict[str, bytes]]:
    """Every object of a store with its bytes."""
    return lambda store: {info.name: bytes(store.get(info.name)) for info in store.list()}
