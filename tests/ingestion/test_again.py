"""Ingesting into a dataset that exists: only what changed is written, and older versions stay as they were."""

from __future__ import annotations

import pytest

from hapistore.catalog import commit_version, open_version
from hapistore.catalog.names import annotations_name
from hapistore.errors import UsageError
from hapistore.ingestion import ingest, open_source
from hapistore.stores.wrappers.wrapped import WrappedStore
from hapistore_format import AnnotationShard, DatasetVersion, ShardRef, file_digest, write_annotations


def table_of(rows: list[tuple[object, ...]], header: str = "path,label") -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)])


def of_kind(objects: dict[str, bytes], kind: str) -> dict[str, bytes]:
    return {name: data for name, data in objects.items() if name.startswith(kind)}


class WatchedStore(WrappedStore):
    """Notes what is read."""

    def __init__(self, inner):
        super().__init__(inner)
        self.read = set()

    def around(self, operation, name, sent, request):
        if operation == "get":
            self.read.add(name)
        return request()


def labels(records) -> dict[str, object]:
    return {record["key"]: record["label"] for record in records}


@pytest.fixture
def source(tree, picture):
    """Six images in a manifest; ``a.png`` and so on, labelled by number."""
    names = "abcdef"
    files = {f"{name}.png": picture(n) for n, name in enumerate(names)}
    return tree({**files, "all.csv": table_of([(f"{name}.png", n) for n, name in enumerate(names)])}) / "all.csv"


def test_the_same_again_changes_no_byte(source, take, store, objects):
    first = take(source, shard_bytes=500)
    before = objects(store)
    again = take(source, shard_bytes=500)
    assert first.committed and not again.committed
    assert again.version == first.version and again.version.number == 1
    assert (again.images, again.shards_written, again.shards_present) == (6, 0, 0)
    assert objects(store) == before


def test_a_new_file_is_appended(tree, picture, take, store, read_back, objects):
    root = tree({"x/b.png": picture(0), "x/d.png": picture(1)})
    first = take(root)
    before = objects(store)
    tree({"x/a.png": picture(2)})
    second = take(root)
    assert second.committed and second.version.number == 2 and second.shards_written == 1
    assert second.version.shards[:1] == first.version.shards
    # Stored rows never move: what is new comes last, whatever its name.
    assert [record["key"] for record in read_back(store, second.version)] == ["x/b.png", "x/d.png", "x/a.png"]
    assert {name: data for name, data in objects(store).items() if name in before} == before


def test_a_changed_image_is_replaced_and_the_old_version_keeps_it(tree, picture, take, store, read_back):
    root = tree({"x/a.png": picture(0), "x/b.png": picture(1)})
    first = take(root).version
    old = read_back(store, first)
    tree({"x/a.png": picture(7)})
    second = take(root).version
    assert {r["key"]: r["image"] for r in read_back(store, second)} == {"x/b.png": picture(1), "x/a.png": picture(7)}
    assert [(r["key"], r["image"]) for r in read_back(store, second, dropped=True)] == [("x/a.png", picture(0))]
    assert second.shards[0].images == first.shards[0].images
    assert read_back(store, open_version(store, "d", 1)) == old


def test_an_image_that_changes_back_has_one_live_row(tree, picture, take, store, read_back):
    root = tree({"x/a.png": picture(0)})
    take(root)
    for seed in (1, 0):
        tree({"x/a.png": picture(seed)})
        result = take(root)
        assert [(r["key"], r["image"]) for r in read_back(store, result.version)] == [("x/a.png", picture(seed))]
    assert result.version.number == 3
    assert (result.shards_written, result.shards_present) == (0, 0)  # the row of the first version, again
    assert len(result.version.shards) == 2


def test_a_changed_label_rewrites_annotations_only(source, take, store, read_back, objects):
    first = take(source, shard_bytes=500).version
    assert len(first.shards) > 2
    before = objects(store)
    source.write_text(source.read_text().replace("e.png,4", "e.png,40"))
    second = take(source, shard_bytes=500)
    after = objects(store)
    assert second.committed and second.shards_written == 0
    assert of_kind(after, "images/") == of_kind(before, "images/")
    assert len(of_kind(after, "annotations/")) == len(of_kind(before, "annotations/")) + 1
    changed = [old != new for old, new in zip(first.shards, second.version.shards, strict=True)]
    assert changed.count(True) == 1
    assert labels(read_back(store, second.version))["e.png"] == 40
    assert labels(read_back(store, first))["e.png"] == 4


def test_what_left_the_source_stays(source, take, store, read_back):
    take(source)
    source.write_text(table_of([("a.png", 0), ("b.png", 10)]))
    version = take(source).version
    assert labels(read_back(store, version)) == {
        "a.png": 0, "b.png": 10, "c.png": 2, "d.png": 3, "e.png": 4, "f.png": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("header", "row", "column"),
    [("path,label,m", ("a.png", "cat", 1), "label"), ("path,label,m", ("a.png", 1, "x"), "m")],
)
def test_a_column_that_changes_its_type_is_refused_by_name(tree, picture, take, store, objects, header, row, column):
    root = tree({"a.png": picture(0), "all.csv": table_of([("a.png", 1, 2)], header)})
    take(root / "all.csv")
    before = objects(store)
    tree({"all.csv": table_of([row], header)})
    with pytest.raises(UsageError, match=f"column '{column}' .*has type string, in the dataset it has int64"):
        take(root / "all.csv")
    assert objects(store) == before


def test_columns_may_come_and_go(tree, picture, take, store, read_back):
    root = tree({"a.png": picture(0), "b.png": picture(1)})
    for text in ("path,label,m,empty\na.png,1,2,\n", "path,label,n\nb.png,3,x\n", "path,label,empty\na.png,1,7\n"):
        tree({"all.csv": text})
        version = take(root / "all.csv").version
    assert version.number == 3
    records = {record["key"]: record for record in read_back(store, version)}
    assert [records["a.png"].get(name) for name in ("label", "m", "n", "empty")] == [1, 2, None, 7]
    assert [records["b.png"].get(name) for name in ("label", "m", "n", "empty")] == [3, None, "x", None]


def test_a_dropped_key_comes_back_when_it_is_offered(source, take, store, read_back):
    first = take(source).version
    (shard,) = first.shards
    name = annotations_name(shard.annotations)
    table = AnnotationShard(store.get(name), where=name).table
    rows = [row | {"dropped": row["key"] == "c.png"} for row in table.to_pylist()]
    data = write_annotations(type(table).from_pylist(rows, schema=table.schema))
    store.create(annotations_name(file_digest(data)), data)

    def drop(newest: DatasetVersion | None, number: int) -> DatasetVersion:
        return DatasetVersion(
            dataset="d",
            number=number,
            created=first.created,
            shards=(ShardRef(**vars(shard) | {"annotations": file_digest(data)}),),
        )

    dropped = commit_version(store, "d", drop)
    assert "c.png" not in labels(read_back(store, dropped))
    result = take(source)
    assert result.committed and result.version.number == 3
    assert labels(read_back(store, result.version)) == labels(read_back(store, first))


def test_a_version_cannot_be_ingested_into(source, store):
    for name in ("d@1", "D", "../d", "", "x" * 101):
        with pytest.raises(UsageError):
            ingest(store, name, open_source(source))
    assert not list(store.list())


def test_a_mirrored_source_drops_what_it_has_no_more(tree, picture, take, store, read_back, objects):
    root = tree({"x/a.png": picture(0), "x/b.png": picture(1), "y/c.png": picture(2), "y/d.png": picture(3)})
    first = take(root)
    images = of_kind(objects(store), "images/")
    (root / "x/b.png").unlink()
    tree({"y/d.png": b"broken"})  # the source has it still
    second = take(root, mirror=True)
    assert second.version.number == 2
    assert [r["key"] for r in read_back(store, second.version)] == ["x/a.png", "y/c.png", "y/d.png"]
    assert of_kind(objects(store), "images/") == images
    assert [r["key"] for r in read_back(store, first.version)] == ["x/a.png", "x/b.png", "y/c.png", "y/d.png"]
    tree({"x/b.png": picture(1), "y/d.png": picture(3)})
    third = take(root, mirror=True)
    assert third.version.number == 3 and third.version.shards == first.version.shards


def test_the_same_again_reads_no_image_from_the_store(source, take, store):
    take(source, shard_bytes=500)
    watched = WatchedStore(store)
    assert not take(source, into=watched).committed
    assert any(name.startswith("annotations/") for name in watched.read)
    assert not any(name.startswith("images/") for name in watched.read)
    source.write_text(source.read_text() + "\nnew.png,7")
    (source.parent / "new.png").write_bytes((source.parent / "b.png").read_bytes())
    assert take(source, into=watched).committed
    assert not any(name.startswith("images/") for name in watched.read)


def test_another_order_finds_the_same_images(source, take, store, objects):
    take(source, shard_bytes=500)
    before = objects(store)
    header, *lines = source.read_text().splitlines()
    source.write_text("\n".join([header, *reversed(lines)]))
    assert not take(source).committed
    assert objects(store) == before
