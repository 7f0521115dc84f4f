"""Small files of every kind, and the damage that is done to them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hapistore_format import (
    AnnotationShard,
    DatasetVersion,
    FeatureShardReader,
    FileSeal,
    ImageRecord,
    ImageShard,
    ImageShardReader,
    LmdbImageShard,
    Recipe,
    ShardRef,
    codec_names,
    read_sealed_json,
    read_weights,
    record_digest,
    write_annotations,
    write_feature_shard,
    write_image_shard,
    write_lmdb_image_shard,
    write_sealed_json,
    write_weights,
)
from hapistore_format.seal import BLANK, compute_seal
from hapistore_format.weights import RawTensor

DIGEST = "ab" * 32
OTHER = "cd" * 32
FUZZ = Path(__file__).resolve().parents[1] / "fuzz"


@dataclass(frozen=True)
class Kind:
    """A stored file, and how it is opened and read to its end."""

    data: bytes
    open: Callable[[bytes], Any]


@dataclass(frozen=True)
class Layout:
    """How image shards of a layout are written (digest and bytes) and opened, with a seal that fits."""

    write: Callable[[list[ImageRecord]], tuple[str, bytes]]
    open: Callable[[bytes], ImageShard]


def open_lmdb(data: bytes, *, seal: FileSeal | None = None) -> LmdbImageShard:
    seal = seal or FileSeal.of(memoryview(data), images=DIGEST)
    return LmdbImageShard(data, seal, where="here")


IMAGE_LAYOUTS = {
    "arrow": Layout(write_image_shard, lambda data: ImageShardReader(data, where="here")),
    "lmdb": Layout(lambda records: write_lmdb_image_shard(records)[:2], open_lmdb),
}


def some_records(count: int = 5, size: int = 20) -> list[ImageRecord]:
    images = [bytes([row]) * (size + row) for row in range(count)]
    return [
        ImageRecord(image=i, width=8 + n, height=4, orientation=1, format="PNG", digest=record_digest(i))
        for n, i in enumerate(images)
    ]


def some_annotations(rows: int = 5) -> pa.Table:
    return pa.table(
        {
            "key": [f"{row}.png" for row in range(rows)],
            "label": pa.array(["cat", None] * rows, pa.string())[:rows],
            "subset": pa.array(["train", "test", None] * rows, pa.string())[:rows],
            "dropped": [row == 1 for row in range(rows)],
            "weight": [row / 2 for row in range(rows)],
        }
    )


def some_features(rows: int = 6, shape: tuple[int, ...] = (4, 3, 2)) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, *shape)).astype(np.float32)


def some_recipe(**changes: Any) -> Recipe:
    values = {
        "architecture": "tiny_net",
        "weights": DIGEST,
        "cut": "layer4",
        "preprocess": {"resize_px": 256, "crop_px": [224, 224], "mean_levels": [1.5, 2.0, 3.25]},
        "shape": (4, 3, 2),
        "notes": {"weights": "imagenet"},
    }
    return Recipe(**{**values, **changes})


def some_version(**changes: Any) -> DatasetVersion:
    shards = tuple(
        ShardRef(images=DIGEST, annotations=OTHER, layout="arrow", rows=5 + n, bytes=100 + n) for n in range(2)
    )
    values = {"dataset": "pets", "number": 7, "created": "2026-01-02T03:04:05+00:00", "shards": shards}
    return DatasetVersion(**{**values, **changes})


def some_weights() -> dict[str, RawTensor]:
    return {"b": RawTensor("F32", (2, 3), bytes(range(24))), "a": RawTensor("I64", (), bytes(8))}


def _read_features(data: bytes) -> np.ndarray:
    return FeatureShardReader(data, where="here").features()


def _read_images(reader: ImageShard) -> list[bytes]:
    return [bytes(reader.image(row)) for row in range(len(reader))]


def all_kinds() -> dict[str, Kind]:
    digest, weights = write_weights(some_weights())
    lmdb = write_lmdb_image_shard(some_records())
    seal = FileSeal.parse(lmdb.seal, where="here")
    kinds = {
        "json": Kind(
            write_sealed_json({"format": 1, "kind": "hapistore"}), lambda d: read_sealed_json(d, where="here")
        ),
        "version": Kind(some_version().serialise(), lambda d: DatasetVersion.parse(d, where="here")),
        "recipe": Kind(some_recipe().serialise(), lambda d: Recipe.parse(d, where="here")),
        "weights": Kind(weights, lambda d: read_weights(d, digest, where="here")),
        "images": Kind(
            bytes(write_image_shard(some_records())[1]), lambda d: _read_images(ImageShardReader(d, where="here"))
        ),
        "images lmdb": Kind(bytes(lmdb.data), lambda d: _read_images(open_lmdb(d, seal=seal))),
        "seal": Kind(lmdb.seal, lambda d: FileSeal.parse(d, where="here")),
        "annotations": Kind(
            bytes(write_annotations(some_annotations())), lambda d: AnnotationShard(d, where="here").table
        ),
    }
    for codec in codec_names():
        data = write_feature_shard(some_features(), codec=codec, recipe=DIGEST, images=OTHER, provenance={"by": "test"})
        kinds[f"features {codec}"] = Kind(bytes(data), _read_features)
    return kinds


def sealed_text(text: str) -> bytes:
    """Any text, whole and rightly sealed: what a hostile writer would make."""
    end = b'"\n}\n'
    blank = text.encode("utf-8", "surrogatepass") + b',\n "sha256": "' + BLANK + end
    at = len(blank) - len(end) - 64
    return blank[:at] + compute_seal(blank, at) + end


def flips(data: bytes, *, whole_below: int = 4000, samples: int = 2000) -> Iterator[bytes]:
    """The file with one bit flipped: every bit of a small file, bits at random of a larger one."""
    bits = range(len(data) * 8)
    chosen = bits if len(data) < whole_below else random.Random(1).sample(bits, min(samples, len(bits)))
    for bit in chosen:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        yield bytes(changed)


@pytest.fixture(scope="session")
def kinds() -> dict[str, Kind]:
    return all_kinds()


@pytest.fixture(scope="session")
def layouts() -> dict[str, Layout]:
    return IMAGE_LAYOUTS


@pytest.fixture(scope="session", params=IMAGE_LAYOUTS)
def layout(request) -> Layout:
    """Every layout of image shards in turn."""
    return IMAGE_LAYOUTS[request.param]


@pytest.fixture(scope="session")
def fuzzing() -> Iterator[SimpleNamespace]:
    """``targets`` and ``hostile`` of tests/fuzz, which are modules of a script and no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FUZZ))
        yield SimpleNamespace(
            targets=import_module("targets"), hostile=import_module("hostile"), corpus=FUZZ / "corpus"
        )


@pytest.fixture(scope="session")
def make():
    """The builders above, for tests."""
    return _Make


class _Make:
    DIGEST, OTHER = DIGEST, OTHER
    records = staticmethod(some_records)
    annotations = staticmethod(some_annotations)
    features = staticmethod(some_features)
    recipe = staticmethod(some_recipe)
    version = staticmethod(some_version)
    weights = staticmethod(some_weights)
    flips = staticmethod(flips)
    sealed = staticmethod(sealed_text)
