"""Sources in a real bucket: class folders, tars, Parquet, manifests; names as photographs have them."""

from __future__ import annotations

import gzip
import io
import tarfile

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import S3Store

from hapistore.errors import HapistoreError, ImageError, StoreError, TransientError, UsageError
from hapistore.ingestion import bucket_folder, ingest, open_source
from hapistore.ingestion.sources import places
from hapistore.stores.bucket import Bucket, ObjectUrl, _AnyName, _Pages

ODD = ["cat/photo (1).jpg", "cat/100%20 & more+.jpg", "Käse/größe 写真.jpg", "dog/a#b?c.jpg", "dog/deep/er.jpg"]


def test_class_folders_below_a_prefix(bucket, picture, kept):
    files = {name: picture(number, "JPEG") for number, name in enumerate(ODD)}
    for name, data in files.items():
        bucket.put(name, data)
    bucket.put("cat/notes.txt", b"x")
    bucket.put("cat/.hidden.jpg", b"x")
    source = open_source(bucket.url())
    listing = source.listing()
    assert listing.remote
    assert sum(len(chunk.images) for chunk in listing.chunks) == len(ODD)
    assert listing.ignored == {"files without an image extension": 1, "objects whose names begin with a dot": 1}
    records = kept(source)
    assert {key: record["image"] for key, record in records.items()} == files
    assert all(record["label"] == key.partition("/")[0] for key, record in records.items())


def test_subsets_below_a_prefix(bucket, picture, listed):
    for subset in ("train", "validation"):
        bucket.put(f"x/{subset}/cat/1.jpg", picture(0, "JPEG"))
    assert sorted(listed(open_source(bucket.url("x"))).annotations["subset"].to_pylist()) == ["train", "val"]


@pytest.fixture(scope="module")
def many(seaweedfs_server):
    """A prefix with more objects than a page has."""
    server = seaweedfs_server
    keys = {"access_key_id": server.environment["AWS_ACCESS_KEY_ID"]}
    keys |= {"secret_access_key": server.environment["AWS_SECRET_ACCESS_KEY"]}
    client = S3Store(
        "hapistore-tests",
        endpoint=server.endpoint,
        region="us-east-1",
        client_options={"allow_http": True},
        **keys,
    )
    for number in range(1203):
        obstore.put(client, f"many/c/{number:05d}.jpg", b"x")
    return "many"


def test_a_listing_of_several_pages(bucket, many):
    source = open_source(bucket.server.url(many))
    keys = [key for chunk in source.listing().chunks for key in chunk.annotations["key"].to_pylist()]
    assert keys == [f"c/{number:05d}.jpg" for number in range(1203)]


def test_images_that_are_gone_or_too_large(bucket, picture, store, monkeypatch):
    for name in ("c/1.jpg", "c/2.jpg", "c/3.jpg"):
        bucket.put(name, picture(0, "JPEG") + bytes(100 * (name == "c/2.jpg")))
    monkeypatch.setattr(places, "MAX_IMAGE_BYTES", len(picture(0, "JPEG")) + 50)
    source = bucket_folder(bucket.url())
    (chunk,) = source.listing().chunks
    result = ingest(store, "d", source)
    assert [(image.key, image.reason) for image in result.quarantined] == [("c/2.jpg", "too-large")]
    with pytest.raises(ImageError, match="there is no object"):
        places.FetchedImage(chunk.images[0]._bucket, "none")()


def test_an_empty_prefix(bucket):
    with pytest.raises(UsageError, match="has no objects; expected s3://"):
        open_source(bucket.url("nothing")).listing()


def tar_of(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("pattern", ["t/x-{0..1}.tar", "t/x-*.tar"])
def test_tars(bucket, photographs, kept, pattern):
    """Of more than the windows that are fetched ahead."""
    files = {path.stem: path.read_bytes() for path in photographs[:1200]}
    names = list(files)
    for number in range(2):
        bucket.put(f"t/x-{number}.tar", tar_of({f"{name}.png": files[name] for name in names[number::2]}))
    records = kept(open_source(bucket.url(pattern)))
    assert list(records) == names[::2] + names[1::2]
    assert all(record["image"] == files[key] for key, record in records.items())


def test_packed_tars_and_cut_ones(bucket, picture, listed, store):
    data = tar_of({f"{n}.png": picture(n) for n in range(5)})
    bucket.put("a.tar.gz", gzip.compress(data))
    assert len(listed(open_source(bucket.url("a.tar.gz"))).images) == 5
    bucket.put("cut.tar", data[:5000])
    with pytest.raises(HapistoreError, match=r"cut\.tar is cut off"):
        ingest(store, "d", open_source(bucket.url("cut.tar")))


def test_parquet(bucket, photographs, kept):
    files = [path.read_bytes() for path in photographs[:600]]
    file = io.BytesIO()
    ids = [path.stem for path in photographs[:600]]
    pq.write_table(pa.table({"image": files, "id": ids, "label": range(600)}), file, row_group_size=400)
    bucket.put("data/train-0.parquet", file.getvalue())
    records = kept(open_source(bucket.url("data/*.parquet")))
    assert [(r["image"], r["id"], r["label"], r["subset"]) for r in records.values()] == [
        (data, name, number, "train") for number, (data, name) in enumerate(zip(files, ids, strict=True))
    ]


def test_manifests_in_a_bucket_and_of_a_bucket(bucket, picture, tree, kept, store, read_back):
    for name in ("a b.png", "x/c.png"):
        bucket.put(name, picture(len(name)))
    bucket.put("lists/all.csv", b"path,label\n../a b.png,1\n../x/c.png,2\n")
    result = ingest(store, "remote", open_source(bucket.url("lists/all.csv")))
    records = {record["key"]: record for record in read_back(store, result.version)}
    assert [(key, r["image"], r["label"]) for key, r in records.items()] == [
        ("../a b.png", picture(7), 1), ("../x/c.png", picture(7), 2),
    ]  # fmt: skip
    folder = tree({"local.png": picture(3), "all.csv": f"path\n{bucket.url('a b.png')}\nlocal.png\n"})
    source = open_source(folder / "all.csv")
    assert source.listing().remote
    keys = list(kept(source))
    assert keys == [bucket.url("a b.png").partition("?")[0], "local.png"]


def test_a_manifest_in_a_bucket_reads_no_files(bucket, tree, picture, store):
    secret = tree({"secret.png": picture(0)}) / "secret.png"
    bucket.put("a.csv", f"path\n{secret}\n../../../../{secret}\n".encode())
    bucket.put("b.png", picture(1))
    bucket.put("a.csv", f"path\nb.png\n{secret}\n../../../../../{secret}\n".encode())
    result = ingest(store, "d", open_source(bucket.url("a.csv")))
    assert (result.images, [image.reason for image in result.quarantined]) == (1, ["unreadable-file"] * 2)


@pytest.mark.parametrize("kind", ["a.tar", "a.parquet", "a.csv"])
def test_what_is_not_there(bucket, kind, listed):
    with pytest.raises(UsageError, match="does not exist"):
        listed(open_source(bucket.url(kind)))


def test_a_part_of_a_pattern_that_is_not_there(bucket, listed):
    with pytest.raises(UsageError, match=r"x-1\*\.tar.* does not exist; s3://.* stands for it"):
        listed(open_source(bucket.url("x-{1,2}*.tar")))


@pytest.mark.parametrize(
    ("text", "bucket_url", "name"),
    [
        ("s3://b/a b/c%20.jpg", "s3://b", "a b/c%20.jpg"),
        ("s3://b/a?b.jpg?endpoint=http://h:1&region=x", "s3://b?endpoint=http://h:1&region=x", "a?b.jpg"),
        ("gs://b", "gs://b", ""),
        ("az://b/", "az://b", ""),
    ],
)
def test_urls_are_taken_apart(text, bucket_url, name):
    assert ObjectUrl.parse(text) == ObjectUrl(bucket=bucket_url, name=name)


@pytest.mark.parametrize("text", ["s3://", "s3:///x", "http://b/x"])
def test_what_is_no_url(text):
    with pytest.raises(UsageError, match="is no s3://bucket/name"):
        ObjectUrl.parse(text)


@pytest.mark.parametrize("in_order", [True, False])
def test_a_listing_goes_on_where_it_was_broken_off(bucket, many, faulty_proxy, in_order):
    with faulty_proxy(bucket.server.endpoint, 0.0, ways=("reset",)) as proxy:
        store = _AnyName(f"s3://hapistore-tests?endpoint={proxy.endpoint}&region=us-east-1")
        pages = _Pages(store, many)
        first = pages.take(1)
        pages._in_order = in_order
        proxy.rate = 1.0
        with pytest.raises(TransientError):
            pages.take(1)
        proxy.rate = 0.0
        names = [entry.name for entry in first + pages.take(2)]
        assert not pages.take(1)
    assert names == [f"{many}/c/{number:05d}.jpg" for number in range(1203)]


def test_all_comes_over_a_link_that_breaks(bucket, photographs, kept, faulty_proxy, tree):
    files = {f"{path.stem}.png": path.read_bytes() for path in photographs[:40]}
    bucket.put("shaky/a.tar", tar_of(files))
    with faulty_proxy(bucket.server.endpoint, 0.3, ways=("refused", "reset", "truncated", "lost"), seed=2) as proxy:
        url = f"s3://hapistore-tests/{bucket.name}/shaky/a.tar?endpoint={proxy.endpoint}&region=us-east-1"
        records = kept(open_source(url))
        lines = "".join(f"{url.replace('a.tar', name)}\n" for name in files)
        for name, data in files.items():
            bucket.put(f"shaky/{name}", data)
        more = kept(open_source(tree({"list.csv": "path\n" + lines}) / "list.csv"))
        assert proxy.done["passed"] and len(proxy.done) == 5
    assert [record["image"] for record in records.values()] == list(files.values())
    assert [record["image"] for record in list(more.values())[40:]] == list(files.values())


def test_a_bucket_that_is_not_there(bucket):
    url = bucket.server.url("x", bucket="no-such-bucket-at-all")
    with pytest.raises(StoreError, match="no such bucket"):
        Bucket(ObjectUrl.parse(url).bucket).get("x")
