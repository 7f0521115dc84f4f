"""Verification reads every byte: what is damaged, missing, renamed or strange is named, and nothing else is."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from hapistore.catalog import VerifyReport, resolve_version, verify_store
from hapistore.catalog.names import annotations_name, images_name, parse_name, quarantine_name, weights_name
from hapistore.catalog.verifying import SET_ASIDE, set_aside
from hapistore_format import FeatureShardReader, ImageRecord, ImageShardReader, write_image_shard, write_sealed_json
from hapistore_format.sealed_arrow import SealedWriter

KINDS = ("marker", "version", "quarantine", "images", "annotations", "recipe", "weights", "features")


def names_of(store, kind: str) -> list[str]:
    return [info.name for info in store.list() if (parsed := parse_name(info.name)) and parsed.kind == kind]


def found(report: VerifyReport) -> dict[str, str]:
    return {damage.name: damage.code for damage in report.damaged}


def test_a_sound_store_is_sound(filled):
    report = verify_store(filled)
    infos = list(filled.list())
    assert (report.damaged, report.unknown) == ([], [])
    assert report.objects == len(infos)
    assert report.bytes == sum(info.bytes for info in infos)
    assert {parse_name(info.name).kind for info in infos} == set(KINDS)


def test_progress_adds_up(filled):
    seen = []
    report = verify_store(filled, threads=3, on_progress=seen.append)
    assert len(seen) == report.objects
    assert sum(seen) == report.bytes


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_bit_anywhere_is_found_and_named(copied, kind):
    name = names_of(copied, kind)[0]
    whole = bytes(copied.get(name))
    for place in random.Random(kind).sample(range(len(whole) * 8), 40):
        data = bytearray(whole)
        data[place // 8] ^= 1 << place % 8
        copied.put(name, bytes(data))
        damaged = found(verify_store(copied))
        assert list(damaged) == [name], f"bit {place} of {name}"
        assert damaged[name] in ("bad-seal", "bad-block", "bad-digest", "bad-index", "no-seal")
    copied.put(name, whole)
    assert not verify_store(copied).damaged


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_is_read(copied, kind):
    """The last bit of each object of a kind, all at once."""
    names = names_of(copied, kind)
    for name in names:
        data = bytearray(copied.get(name))
        data[-1] ^= 1
        copied.put(name, bytes(data))
    assert set(found(verify_store(copied))) == set(names)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bytes_left", [0, 1, 100, 1 << 20])
def test_a_truncated_object_is_found(copied, kind, bytes_left):
    name = names_of(copied, kind)[0]
    data = bytes(copied.get(name))
    copied.put(name, data[: min(bytes_left, len(data) - 1)])
    assert list(found(verify_store(copied))) == [name]


def test_what_a_version_or_recipe_needs_and_is_not_there_is_named(copied):
    version = resolve_version(copied, "pets")
    gone = [
        images_name(version.shards[0].images),
        annotations_name(version.shards[1].annotations),
        quarantine_name("pets", version.quarantine),
        weights_name(parse_name(names_of(copied, "weights")[0]).parts["digest"]),
    ]
    for name in gone:
        copied.delete(name)
    report = verify_store(copied)
    assert found(report) == dict.fromkeys(gone, "missing")
    details = {damage.name: damage.detail for damage in report.damaged}
    assert all("pets@1" in details[name] for name in gone[:3])
    assert "recipe" in details[gone[3]]


@pytest.mark.parametrize("kind", ["quarantine", "images", "annotations", "recipe", "weights", "features", "version"])
def test_an_object_under_another_name_is_found(copied, kind):
    name = names_of(copied, kind)[0]
    if kind == "version":
        other = name.replace("00000001", "00000002")
    else:
        digest = name.rpartition("/")[2].partition(".")[0]
        other = name.replace(digest, "ab" * 32)
    copied.create(other, copied.get(name))
    damaged = found(verify_store(copied))
    assert list(damaged) == [other]
    assert damaged[other] in ("bad-name", "bad-digest")


@pytest.mark.parametrize("place", ["codec", "recipe"])
def test_features_under_another_codec_or_recipe_are_found(copied, place):
    name = next(name for name in names_of(copied, "features") if "/f32/" in name)
    other = name.replace("/f32/", "/f16/") if place == "codec" else name.replace(name.split("/")[1], "ab" * 32)
    copied.create(other, copied.get(name))
    assert found(verify_store(copied)) == {other: "bad-name"}


def test_exchanged_shards_are_both_found(copied):
    first, second = names_of(copied, "images")[:2]
    one, two = bytes(copied.get(first)), bytes(copied.get(second))
    copied.put(first, two)
    copied.put(second, one)
    assert found(verify_store(copied)) == {first: "bad-name", second: "bad-name"}


class TestWholeFilesThatLie:
    """Sealed rightly, under the right name, and not what they claim: only reading all of it finds that."""

    def test_an_image_that_is_not_the_one_named(self, copied):
        name = names_of(copied, "images")[0]
        reader = ImageShardReader(copied.get(name), where=name)
        columns = {c: reader.column(c).to_pylist() for c in ("width", "height", "orientation", "format", "digest")}
        images = [bytes(reader.image(row)) for row in range(len(reader))]
        images[-1] = b"another picture"
        rows = [{c: values[row] for c, values in columns.items()} for row in range(len(reader))]
        digest, data = write_image_shard([ImageRecord(image=i, **row) for i, row in zip(images, rows, strict=True)])
        assert images_name(digest) == name
        copied.put(name, data)
        assert found(verify_store(copied)) == {name: "bad-digest"}

    def test_features_whose_blocks_are_not_all_its_rows(self, copied):
        name = next(name for name in names_of(copied, "features") if "/u8c+zstd/" in name)
        reader = FeatureShardReader(copied.get(name), where=name)
        schema = reader._sealed.schema
        writer = SealedWriter(schema)
        block = reader._sealed.block(0).to_pylist()[0]
        writer.write(pa.RecordBatch.from_pylist([{**block, "block": block["block"][:-1]}], schema=schema))
        extra = {key: value for key, value in reader._sealed.extra.items() if key != "hapistore.index"}
        copied.put(name, writer.finish(extra))
        assert found(verify_store(copied)) == {name: "bad-block"}


def test_a_file_of_someone_else_is_noted_and_no_damage(copied):
    copied.create("notes/readme.txt", b"hello")
    copied.create("images/thumbs.db", b"")
    report = verify_store(copied)
    assert report.unknown == ["images/thumbs.db", "notes/readme.txt"]
    assert report.damaged == []


def test_an_object_of_a_later_format_is_named(copied):
    name = names_of(copied, "version")[0].replace("00000001", "00000002")
    copied.create(name, write_sealed_json({"format": 2}))
    assert found(verify_store(copied)) == {name: "unsupported-version"}


class TestSetAside:
    def break_(self, store, kind: str) -> tuple[str, bytes]:
        name = names_of(store, kind)[0]
        data = bytearray(store.get(name))
        data[len(data) // 2] ^= 1
        store.put(name, bytes(data))
        return name, bytes(data)

    @pytest.mark.parametrize("kind", ["images", "recipe", "weights", "features"])
    def test_it_moves_the_object_and_keeps_its_bytes(self, copied, kind):
        name, data = self.break_(copied, kind)
        [damage] = verify_store(copied).damaged
        assert set_aside(copied, damage) == SET_ASIDE + name
        assert bytes(copied.get(SET_ASIDE + name)) == data
        after = found(verify_store(copied))
        assert SET_ASIDE + name not in after
        expected = {} if kind in ("features", "recipe") else {name: "missing"}
        assert after == expected
        assert verify_store(copied).unknown == []

    @pytest.mark.parametrize("kind", ["version", "marker", "annotations", "quarantine"])
    def test_what_nothing_makes_again_stays(self, copied, kind):
        name, data = self.break_(copied, kind)
        [damage] = verify_store(copied).damaged
        assert set_aside(copied, damage) is None
        assert bytes(copied.get(name)) == data

    def test_what_is_missing_cannot_be_moved(self, copied):
        name = names_of(copied, "images")[0]
        copied.delete(name)
        [damage] = verify_store(copied).damaged
        assert set_aside(copied, damage) is None
