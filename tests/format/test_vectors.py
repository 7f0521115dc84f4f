"""The test vectors: both implementations read the valid ones alike and refuse the invalid ones for the same reason."""

from __future__ import annotations

import ast
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hapistore.catalog import verify_store
from hapistore.images import recolour
from hapistore.stores import MemoryStore
from hapistore_format import (
    AnnotationShard,
    Augmentation,
    DatasetVersion,
    Expiry,
    FeatureShardReader,
    FileSeal,
    FormatError,
    ImageShard,
    ImageShardReader,
    LmdbImageShard,
    MissingRow,
    Recipe,
    codec_names,
    file_digest,
    read_feature_header,
    read_sealed_json,
    read_weights,
    write_annotations,
    write_feature_shard,
    write_image_shard,
    write_lmdb_image_shard,
    write_weights,
)
from hapistore_format.sealed_json import canonical_json, check_format

FORMAT = Path(__file__).resolve().parents[2] / "format"
VECTORS = FORMAT / "vectors"
INDICES = {part: json.loads((VECTORS / f"{part}.json").read_text("utf-8")) for part in ("valid", "invalid")}
VALID, INVALID = (INDICES[part]["vectors"] for part in ("valid", "invalid"))
DRAWN = next(
    [(of["digest"], of["size"], of["pixels"]) for of in vector["expected"]["draws"]]
    for vector in VALID
    if "draws" in vector["expected"]
)
ALLOWED = {"lmdb", "pyarrow", "xxhash", "zstandard"}
WRITING = {"not-finite", "out-of-range"}


class WrongDigest(FormatError):
    """What a caller of ``hapistore_format`` finds who asked for an object by its digest."""


@pytest.fixture(scope="module")
def second():
    """The second implementation: ``read_object`` and ``Refused``."""
    sys.path.insert(0, str(VECTORS))
    try:
        from second.objects import read_object
        from second.refused import Refused
    finally:
        sys.path.remove(str(VECTORS))
    return read_object, Refused


def bytes_of(vector: dict[str, Any]) -> tuple[bytes, bytes]:
    """The vector's file, and the seal beside it where there is one."""
    seal = (VECTORS / vector["seal"]).read_bytes() if "seal" in vector else b""
    return (VECTORS / vector["file"]).read_bytes(), seal


# What ``hapistore_format`` reads, as the index spells it.


def read_first(vector: dict[str, Any]) -> Any:
    return READERS[vector["kind"]](vector["name"], *bytes_of(vector))


def digest_in(name: str) -> str:
    return re.findall("[0-9a-f]{64}", name)[-1]


def require_digest(name: str, data: bytes) -> None:
    if file_digest(data) != digest_in(name):
        raise WrongDigest("bad-digest", "other bytes")


def read_json(name: str, data: bytes, _: bytes) -> Any:
    value = read_sealed_json(data, where=name)
    check_format(value, 1, where=name)
    return value


def read_version(name: str, data: bytes, _: bytes) -> Any:
    version = DatasetVersion.parse(data, where=name)
    value = {"format": 1, "dataset": version.dataset, "version": version.number, "created": version.created}
    if version.quarantine is not None:
        value |= {"quarantine": version.quarantine, "quarantined": version.quarantined}
    return {**value, "shards": [vars(shard) for shard in version.shards]}


def read_expiry(name: str, data: bytes, _: bytes) -> Any:
    expiry = Expiry.parse(data, where=name)
    return {"format": 1, "dataset": expiry.dataset, "version": expiry.number, "expired": expiry.expired}


def read_quarantine(name: str, data: bytes, _: bytes) -> Any:
    value = read_json(name, data, b"")
    require_digest(name, data)
    return value


def read_seal(name: str, data: bytes, _: bytes) -> Any:
    seal = FileSeal.parse(data, where=name)
    sizes = {"bytes": seal.file_bytes, "span_bytes": seal.span_bytes}
    return {"format": 1, "images": seal.images, **sizes, "xxh3_128": list(seal.checksums)}


def read_recipe(name: str, data: bytes, _: bytes) -> Any:
    recipe = Recipe.parse(data, where=name)
    recipe.check_name(digest_in(name), where=name)
    value = read_sealed_json(data, where=name)
    found = {"canonical": canonical_json(value["recipe"]).decode(), "object": value}
    return {**found, "draws": [draw_again(recipe.augmentation, *of) for of in DRAWN]} if recipe.augmentation else found


def draw_again(augmentation: Augmentation, digest: str, size: list[int], pixels: list[list[int]]) -> dict[str, Any]:
    """The same draw by ``hapistore_format``, and the same pixels by ``hapistore.images``."""
    box, flip, factors = augmentation.draw(bytes.fromhex(digest), *size)
    factors = factors or (1 << 16,) * 3
    recoloured = recolour(np.array([pixels], np.uint8), factors)[0].tolist()
    return {
        "digest": digest,
        "size": size,
        "box": box and list(box),
        "flip": flip,
        "factors": list(factors),
        "pixels": pixels,
        "recoloured": recoloured,
    }


def read_tensors(name: str, data: bytes, _: bytes) -> Any:
    tensors = read_weights(data, digest_in(name), where=name)
    return {n: {"dtype": t.dtype, "shape": list(t.shape), "data": bytes(t.data).hex()} for n, t in tensors.items()}


def read_arrow_images(name: str, data: bytes, _: bytes) -> Any:
    return read_records(ImageShardReader(data, where=name))


def read_lmdb_images(name: str, data: bytes, seal: bytes) -> Any:
    return read_records(LmdbImageShard(data, FileSeal.parse(seal, where=name), where=name))


def read_records(shard: ImageShard) -> Any:
    shard.check_digests()
    return [{n: v.hex() if isinstance(v, bytes) else v for n, v in vars(r).items()} for r in shard.records()]


def read_annotations(name: str, data: bytes, _: bytes) -> Any:
    table = AnnotationShard(data, where=name).table
    require_digest(name, data)
    return table.to_pydict()


def read_features(name: str, data: bytes, _: bytes) -> Any:
    reader = FeatureShardReader(data, where=name)
    values = reader.features().astype("<f4", copy=False).tobytes().hex()
    found = {"shape": list(reader.header.shape), "float32": values, "provenance": reader.provenance or None}
    assert read_feature_header(memoryview(data), where=name) == reader.header
    return {**found, "missing": [list(row) for row in reader.missing]} if reader.missing else found


READERS: dict[str, Callable[[str, bytes, bytes], Any]] = {
    "marker": read_json,
    "version": read_version,
    "expiry": read_expiry,
    "quarantine": read_quarantine,
    "seal": read_seal,
    "recipe": read_recipe,
    "weights": read_tensors,
    "images-arrow": read_arrow_images,
    "images-lmdb": read_lmdb_images,
    "annotations": read_annotations,
    "features": read_features,
}


def read_by_verifying(vector: dict[str, Any]) -> str:
    """The code with which a store that holds the vector under its name is found damaged."""
    store = MemoryStore()
    for name, data in zip((vector["name"], vector["name"] + ".json"), bytes_of(vector), strict=True):
        if data or name == vector["name"]:
            store.create(name, data)
    return {d.name: d.code for d in verify_store(store).damaged}[vector["name"]]


def files_of(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector[member] for vector in vectors for member in ("file", "seal") if member in vector]


def named(vectors: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["file"]) for vector in vectors])


# The corpus itself.


@pytest.mark.parametrize("part", ["valid", "invalid"])
def test_every_file_is_listed_once_and_there(part):
    found = sorted(path.relative_to(VECTORS).as_posix() for path in (VECTORS / part).iterdir())
    assert sorted(files_of(INDICES[part]["vectors"])) == found


def test_every_kind_and_codec_and_all_flags_are_there():
    assert {vector["kind"] for vector in VALID} == set(READERS) == {vector["kind"] for vector in INVALID}
    files = {Path(vector["file"]).stem: vector["name"].split("/") for vector in VALID if vector["kind"] == "features"}
    assert {name[2] for name in files.values()} == set(codec_names())
    for codec in ("u8c+zstd", "f16+zstd"):
        assert {f"features-{codec}-flags{flags}" for flags in range(8)} <= set(files)


def test_every_code_of_the_specification_that_a_reader_refuses_with_is_there():
    text = (FORMAT / "reading.md").read_text("utf-8").partition("## Reason codes")[2]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    codes = {code for cell in cells for code in re.findall("`([a-z-]+)`", cell)}
    assert len(codes) >= 20
    assert {vector["code"] for vector in INVALID} == codes - WRITING


def test_the_corpus_is_small():
    assert sum((VECTORS / file).stat().st_size for file in files_of(VALID + INVALID)) < 800_000  # bytes


def test_it_is_made_again_byte_by_byte(tmp_path):
    subprocess.run([sys.executable, VECTORS / "make.py", tmp_path], check=True, capture_output=True)
    made = json.loads((tmp_path / "valid.json").read_text("utf-8"))
    assert made["vectors"] == VALID
    if made["made_with"] != INDICES["valid"]["made_with"]:
        pytest.skip("other versions of the libraries make other, equally valid bytes")
    for file in ["valid.json", "invalid.json", *files_of(VALID + INVALID)]:
        assert (tmp_path / file).read_bytes() == (VECTORS / file).read_bytes(), file


def test_the_makers_import_nothing_of_ours():
    own = {path.stem for path in VECTORS.iterdir()}
    for path in VECTORS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            roots = {name.partition(".")[0] for name in names}
            assert roots <= {*own, *ALLOWED, *sys.stdlib_module_names}, path


# Reading.


def without_later(expected: Any) -> Any:
    """What our reader keeps of an object: no members that it does not know."""
    return (
        {n: v for n, v in expected.items() if n not in ("later", "requires")}
        if isinstance(expected, dict)
        else expected
    )


@named(VALID)
def test_valid(vector, second):
    expected = vector["expected"]
    assert second[0](vector["name"], *bytes_of(vector)) == expected
    found = read_first(vector)
    assert found == (without_later(expected) if vector["kind"] in ("version", "expiry") else expected)


@named(INVALID)
def test_invalid_is_refused_by_the_second_implementation(vector, second):
    with pytest.raises(second[1]) as caught:
        second[0](vector["name"], *bytes_of(vector))
    assert caught.value.code == vector["code"]


@named([vector for vector in INVALID if vector["code"] != "bad-name"])
def test_invalid_is_refused(vector):
    with pytest.raises(FormatError) as caught:
        read_first(vector)
    assert caught.value.code == vector["code"]


@named([vector for vector in INVALID if vector["code"] == "bad-name"])
def test_an_object_of_another_name_is_found_by_verifying(vector):
    assert read_by_verifying(vector) == "bad-name"


# What ``hapistore_format`` writes, read by the second implementation.

SHAPES = [(7,), (1,), (5, 3), (3, 5), (2, 3, 3), (70, 1, 1), (2, 2, 3, 2)]


@pytest.mark.parametrize("codec", codec_names())
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_features_written_here_are_read_there(codec, shape, second):
    source = np.random.default_rng(math.prod(shape))
    features = source.normal(size=(9, *shape)).astype(np.float32)
    features[source.random(features.shape) < 0.4] = 0
    features[:, 0] = features[0, 0]
    data = write_feature_shard(features, codec=codec, recipe="ab" * 32, images="cd" * 32, provenance={"by": "test"})
    found = second[0](f"features/{'ab' * 32}/{codec}/{'cd' * 32}.arrow", bytes(data))
    expected = FeatureShardReader(data, where="here").features()
    assert found == {"shape": list(shape), "float32": expected.tobytes().hex(), "provenance": {"by": "test"}}
    if codec.startswith("f32"):
        assert expected.tobytes() == features.tobytes()


@pytest.mark.parametrize("codec", codec_names())
@pytest.mark.parametrize("rows", [(0,), (3, 8), range(9)], ids=str)
def test_missing_rows_written_here_are_read_there(codec, rows, second):
    features = np.random.default_rng(3).normal(size=(9, 2, 3)).astype(np.float32) + 5
    kept = np.setdiff1d(np.arange(9), rows)
    missing = [MissingRow(row, "undecodable") for row in rows]
    hurt = features.copy()
    hurt[list(rows)] = np.nan
    options = {"codec": codec, "recipe": "ab" * 32, "images": "cd" * 32, "provenance": {}}
    data = write_feature_shard(hurt, missing=missing, **options)
    found = second[0](f"features/{'ab' * 32}/{codec}/{'cd' * 32}.arrow", bytes(data))
    assert found["missing"] == [list(row) for row in missing]
    reader = FeatureShardReader(data, where="here")
    assert found["float32"] == reader.features().tobytes().hex()
    assert not reader.stored()[list(rows)].any()
    if len(kept):  # rows that are not there have no part in what the others are stored as
        alone = FeatureShardReader(write_feature_shard(features[kept], **options), where="alone").features()
        np.testing.assert_array_equal(reader.features()[kept], alone)


def test_several_blocks_written_here_are_read_there(second):
    features = np.random.default_rng(1).normal(size=(1030, 1)).astype(np.float32)
    data = write_feature_shard(features, codec="f32+zstd", recipe="ab" * 32, images="cd" * 32, provenance={})
    found = second[0](f"features/{'ab' * 32}/f32+zstd/{'cd' * 32}.arrow", bytes(data))
    assert found["float32"] == features.tobytes().hex()


def test_other_objects_written_here_are_read_there(make, second):
    read = second[0]
    records = make.records(9, 3000)
    expected = [{n: v.hex() if isinstance(v, bytes) else v for n, v in vars(r).items()} for r in records]
    digest, data = write_image_shard(records)
    assert read(f"images/{digest}.arrow", bytes(data)) == expected
    digest, data, seal = write_lmdb_image_shard(records)
    assert read(f"images/{digest}.lmdb", bytes(data), seal) == expected
    assert read(f"images/{digest}.lmdb.json", seal)["bytes"] == len(data)
    annotations = bytes(write_annotations(make.annotations()))
    assert read(f"annotations/{file_digest(annotations)}.arrow", annotations) == make.annotations().to_pydict()
    digest, data = write_weights(make.weights())
    assert read(f"models/{digest}.safetensors", data)["a"] == {"dtype": "I64", "shape": [], "data": "00" * 8}
    recipe = make.recipe()
    assert read(f"recipes/{recipe.digest}.json", recipe.serialise())["object"]["notes"] == recipe.notes
    version = make.version()
    expiry = Expiry(dataset="pets", number=7, expired="2026-02-03T04:05:06+00:00")
    assert read("datasets/pets/expired/00000007.json", expiry.serialise())["expired"] == expiry.expired
    found = read("datasets/pets/versions/00000007.json", version.serialise())
    assert found["shards"] == [vars(shard) for shard in version.shards]
