"""LMDBs of others as a source."""

from __future__ import annotations

import pickle

import lmdb
import pytest

from hapistore.errors import UsageError
from hapistore.ingestion import ingest, lmdb_images, open_source


@pytest.fixture
def write(tmp_path):
    def write(values: dict[bytes, bytes], name: str = "images.lmdb", *, subdir: bool = True, **options):
        environment = lmdb.open(str(tmp_path / name), map_size=64 << 20, subdir=subdir, **options)
        with environment.begin(write=True) as transaction:
            for key, value in values.items():
                transaction.put(key, value)
        environment.close()
        return tmp_path / name

    return write


@pytest.mark.parametrize("subdir", [True, False])
@pytest.mark.parametrize("room_behind", [False, True])
def test_images_by_name(write, imagenet, kept, subdir, room_behind):
    files = {f"{label}/{path.name}".encode(): path.read_bytes() for path, label in imagenet}
    meta = {b"__len__": pickle.dumps(20), b"__keys__": pickle.dumps([*files])}
    path = write(files | meta, subdir=subdir, writemap=room_behind)
    source = open_source(path)
    assert source.listing().ignored == {"keys of metadata (__…__)": 2}
    records = kept(source)
    assert {key.encode(): record["image"] for key, record in records.items()} == files
    assert all(record["label"] == key.partition("/")[0] for key, record in records.items())


def test_thousands_of_keys_come_in_order(write, listed):
    keys = [f"{n:08d}" for n in range(5000)]
    path = write({key.encode(): key.encode() for key in keys})
    found = listed(lmdb_images(path))
    assert found.annotations["key"].to_pylist() == keys
    assert found.images[4999]() == b"00004999"


def test_subsets_above_labels(write, picture, listed):
    path = write({f"{top}/cat/1.png".encode(): picture(0) for top in ("train", "validation")})
    assert listed(lmdb_images(path)).annotations.to_pylist() == [
        {"key": "train/cat/1.png", "label": "cat", "subset": "train"},
        {"key": "validation/cat/1.png", "label": "cat", "subset": "val"},
    ]


def test_keys_that_are_no_text(write, picture, listed):
    found = listed(lmdb_images(write({b"ok": picture(0), b"\xff\xfe": picture(1), b"a\0b": picture(2)})))
    assert found.annotations["key"].to_pylist() == ["ok"]
    assert found.ignored == {"keys that are not UTF-8": 1, "keys that are with control characters": 1}


def test_pickles_are_refused_and_not_read(write, tmp_path, store):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "proof"), "w")

    for protocol in range(2, 6):
        path = write({b"1": pickle.dumps(Evil(), protocol)}, f"{protocol}.lmdb")
        with pytest.raises(UsageError, match="has pickles as values, which run code when they are read"):
            ingest(store, "d", open_source(path))
    assert not (tmp_path / "proof").exists() and not list(store.list())


def test_values_that_are_no_images_are_left_out(write, picture, store):
    result = ingest(store, "d", lmdb_images(write({b"a": picture(0), b"b": b"x", b"c": b""})))
    assert (result.images, [image.reason for image in result.quarantined]) == (1, ["not-an-image", "empty"])


def test_what_is_no_lmdb(write, tmp_path, listed):
    with pytest.raises(UsageError, match="has no images"):
        lmdb_images(write({b"__len__": b"0"})).listing()
    (tmp_path / "a.lmdb").write_bytes(b"x" * 8192)
    with pytest.raises(UsageError, match="no LMDB file"):
        open_source(tmp_path / "a.lmdb").listing()
    with pytest.raises(UsageError, match="does not exist"):
        lmdb_images(tmp_path / "none").listing()


def test_pages_that_lie_are_an_error_and_not_a_crash(write, picture, listed):
    file = write({f"{n:04d}".encode(): picture(n) for n in range(200)}) / "data.mdb"
    good = file.read_bytes()
    found = 0
    for at in range(8192, len(good), 4096):  # a page's number of entries and where they lie
        file.write_bytes(good[: at + 12] + b"\xff\xff\xff\xff" + good[at + 16 :])
        try:
            images = listed(lmdb_images(file)).images
        except UsageError:  # it was a page of the tree
            found += 1
        else:
            assert len([image() for image in images]) == 200  # within a value, or a page that nothing uses
    assert found >= 3
    file.write_bytes(good[: len(good) // 2])
    with pytest.raises(UsageError, match="not-lmdb"):
        lmdb_images(file).listing()
