"""Tars that the webdataset library wrote, and tars as other tools write them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
import webdataset as wds
import zstandard

from hapistore.errors import HapistoreError, UsageError
from hapistore.ingestion import ingest, open_source
from hapistore.ingestion import webdataset as tars


@pytest.fixture
def pack(tmp_path):
    """Writes a tar of (name, bytes) pairs, packed as its name says."""

    def pack(name: str, members: list[tuple[str, bytes]], *, format: int = tarfile.PAX_FORMAT) -> Path:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=format) as tar:
            for member, content in members:
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        packers = {".gz": gzip.compress, ".tgz": gzip.compress, ".zst": zstandard.compress}
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packers.get(path.suffix, bytes)(file.getvalue()))
        return path

    return pack


def test_what_webdataset_writes_comes_back(tmp_path, imagenet, kept):
    with wds.ShardWriter(str(tmp_path / "train-%03d.tar"), maxcount=6, verbose=0) as writer:
        for number, (path, label) in enumerate(imagenet):
            said = {"where": {"box": [number, 0.5], "tags": ["x"] * (number % 2)}, "score": number}
            sample = {"__key__": f"s{number:03d}", "jpg": path.read_bytes(), "cls": label, "json": said}
            writer.write({**sample, "txt": f"picture é {number}"})
    records = kept(open_source(tmp_path / "train-{000..003}.tar"))
    assert len(records) == 20
    for number, (path, label) in enumerate(imagenet):
        record = records[f"s{number:03d}"]
        assert record["image"] == path.read_bytes() and record["label"] == label
        assert record["where"] == {"box": [number, 0.5], "tags": ["x"] * (number % 2)}
        assert (record["score"], record["txt"]) == (number, f"picture é {number}")
    again = {
        sample["__key__"]: sample for sample in wds.WebDataset(str(tmp_path / "train-000.tar"), shardshuffle=False)
    }
    assert all(again[key]["jpg"] == records[key]["image"] for key in again) and len(again) == 6


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.tar.zst"])
def test_packed_or_not(pack, picture, kept, name):
    members = [(f"{n:03d}.png", picture(n)) for n in range(150)]
    records = kept(open_source(pack(name, members)))
    assert {key: record["image"] for key, record in records.items()} == {n[:-4]: data for n, data in members}


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_every_tar_format(pack, picture, listed, format):
    long = "d" * 90 + "/" + "n" * 95
    names = ["./a.b/c.png", f"{long}.png", "dir.x/k.y.png", "Käse/größe 写真.PNG"]
    table = listed(tars(pack("a.tar", [(name, picture(0)) for name in names], format=format))).annotations
    assert table["key"].to_pylist() == ["a.b/c", long, "dir.x/k", "Käse/größe 写真"]


def test_a_sample_with_several_parts(pack, picture, listed):
    parts = [
        ("k.jpg", picture(1, "JPEG")),
        ("k.seg.png", picture(2)),
        ("k.npy", b"x"),
        ("k.cls", b"cat\n"),
        ("k.pyd", b"y"),
    ]
    path = pack("a.tar", [*parts, ("alone.txt", b"no image"), ("plain", b""), (".hidden.png", b"")])
    found = listed(tars(path))
    assert found.annotations.to_pylist() == [{"key": "k", "label": "cat", "subset": None}]
    assert found.images[0] == parts[0][1]
    assert found.ignored == {
        "members .npy": 1, "members .pyd": 1, "members without an extension": 2, "samples without an image": 1,
    }  # fmt: skip
    assert listed(tars(path, image_extension="seg.png")).images[0] == parts[1][1]


def test_several_images_must_be_chosen(pack, picture, listed):
    path = pack("a.tar", [("k.jpg", picture(1, "JPEG")), ("k.png", picture(2))])
    with pytest.raises(UsageError, match="sample 'k' has images as jpg and png; choose one by --image-extension"):
        listed(tars(path))
    assert listed(open_source(path, image_extension=".PNG")).images[0] == picture(2)


def test_labels_and_subsets_of_json(pack, picture, listed):
    rows = [{"label": 3, "subset": "train"}, {"label": 1.5, "subset": "validation"}, {}]
    members = [
        part
        for number, row in enumerate(rows)
        for part in [(f"{number}.png", picture(number)), (f"{number}.json", json.dumps(row).encode())]
    ]
    table = listed(tars(pack("a.tar", members))).annotations
    assert table["label"].to_pylist() == [3.0, 1.5, None] and table["label"].type == pa.float64()
    assert table["subset"].to_pylist() == ["train", "val", None]


def test_members_of_json_can_be_chosen(pack, picture, listed):
    said = b'{"kind": "cat", "split": "dev", "label": "other"}'
    path = pack("a.tar", [("k.png", picture(0)), ("k.json", said)])
    table = listed(open_source(path, label_column="kind", subset_column="split")).annotations
    assert table.to_pylist() == [{"key": "k", "label": "cat", "subset": "val"}]


def test_a_key_that_comes_again_is_another_record(pack, picture, listed):
    found = listed(
        tars(pack("a.tar", [("k.png", picture(0)), ("k.cls", b"1"), ("k.png", picture(1)), ("k.cls", b"2")]))
    )
    assert found.annotations["key"].to_pylist() == ["k", "k"] and found.annotations["label"].to_pylist() == [1, 2]
    assert found.images == [picture(0), picture(1)]


def test_a_key_in_two_tars_is_refused(pack, picture, store):
    for name in ("a0.tar", "a1.tar"):
        pack(name, [("k.png", picture(0))])
    with pytest.raises(HapistoreError, match="'k'"):
        ingest(store, "d", open_source(pack("a0.tar", [("k.png", picture(0))]).with_name("a{0,1}.tar")))
    assert not list(store.list("datasets/"))


def test_an_image_that_cannot_be_used_is_left_out_and_so_is_one_with_bad_metadata(pack, picture, store):
    members = [("a.png", picture(0)), ("b.png", b"no image"), ("c.png", picture(1)), ("c.json", b"{"), ("d.png", b"")]
    deep = b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    members += [("e.png", picture(2)), ("e.json", deep), ("f.png", picture(2)), ("f.json", b"[1]")]
    members += [("g.png", picture(2)), ("g.cls", b"\xff")]
    result = ingest(store, "d", open_source(pack("a.tar", members)))
    assert result.images == 1
    reasons = {image.key: image.reason for image in result.quarantined}
    assert reasons == {"b": "not-an-image", "c": "bad-metadata", "d": "empty"} | dict.fromkeys("efg", "bad-metadata")


def test_types_that_do_not_go_together(pack, picture, listed):
    members = []
    for number, value in enumerate(["1", '"one"']):
        members += [(f"{number}.png", picture(number)), (f"{number}.json", f'{{"n": {value}}}'.encode())]
    with pytest.raises(UsageError, match="record '1': n is of type string, in earlier records it is int64"):
        listed(tars(pack("a.tar", members)))


def test_a_folder_of_tars(pack, picture, listed):
    folder = pack("many/b.tar", [("2.png", picture(2))]).parent
    pack("many/a.tar.gz", [("1.png", picture(1))])
    (folder / "README").write_text("x")
    assert listed(open_source(folder)).annotations["key"].to_pylist() == ["1", "2"]


def test_what_is_held_stays_small(pack, picture):
    members = [(f"{n:03d}.png", picture(n, size=(600, 600))) for n in range(20)]
    chunks = list(open_source(pack("a.tar.gz", members)).listing().chunks)
    assert [len(chunk.images) for chunk in chunks] == [8, 8, 4]
    many = [(f"{n:03d}.png", picture(n)) for n in range(150)]
    assert [len(c.images) for c in open_source(pack("b.tgz", many)).listing().chunks] == [64, 64, 22]
