"""Annotations by tables: relabelled, dropped and brought back, and no image or feature touched."""

from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hapistore as hs
from hapistore.catalog import commit_version, latest_version, resolve_version, verify_store
from hapistore.errors import UsageError
from hapistore.stores import MemoryStore


@pytest.fixture
def dataset(take, tree, picture):
    """d@1: six images in three shards, keys ``a/0.png`` … of labels a and b."""
    source = tree({f"{'ab'[n % 2]}/{n}.png": picture(n) for n in range(6)})
    take(source, shard_bytes=500)
    return source


@pytest.fixture
def rows(store, read_back):
    """Live records by key, without their images."""

    def read(dropped: bool = False) -> dict[str, dict]:
        version = resolve_version(store, "d")
        hidden = ("image", "width", "height", "orientation", "format")
        found = read_back(store, version, dropped=dropped)
        return {row["key"]: {n: v for n, v in row.items() if n not in hidden and n != "key"} for row in found}

    return read


@pytest.fixture
def write(tmp_path):
    def to(name: str, text: str):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return to


def test_relabel_and_resubset_by_csv(store, dataset, rows, write, objects):
    before, parent = objects(store), resolve_version(store, "d")
    table = write("t.csv", "key,label,subset\na/0.png,lion,train\nb/3.png,wolf,test\n")
    result = hs.annotate(store, "d", table)
    assert result.committed and result.version.number == 2
    assert (result.rows, result.counts.relabelled, result.counts.resubset, result.counts.edited) == (2, 2, 2, 0)
    found = rows()
    assert found["a/0.png"] == {"label": "lion", "subset": "train"}
    assert found["b/3.png"] == {"label": "wolf", "subset": "test"}
    assert found["b/1.png"] == {"label": "b", "subset": None} and len(found) == 6
    after = objects(store)
    assert all(after[name] == data for name, data in before.items())
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"annotations", "datasets"}
    pairs = list(zip(parent.shards, result.version.shards, strict=True))
    assert all((old.images, old.layout, old.bytes) == (new.images, new.layout, new.bytes) for old, new in pairs)
    assert sum(old != new for old, new in pairs) == result.shards < len(pairs)


def test_the_same_again_commits_nothing(store, dataset, write):
    table = write("t.jsonl", '{"key": "a/0.png", "label": "lion", "score": 0.5, "boxes": [{"x": 1.5}]}\n')
    assert hs.annotate(store, "d", table).committed
    again = hs.annotate(store, "d", table)
    assert (again.committed, again.shards, again.counts.any) == (False, 0, False)
    assert again.version == resolve_version(store, "d") and again.version.number == 2
    nan = pa.table({"key": ["a/0.png"], "loss": [float("nan")]})
    assert hs.annotate(store, "d", nan).committed and not hs.annotate(store, "d", nan).committed


def test_structured_columns_stay_what_they_are(store, dataset, rows, write, tmp_path):
    boxes = [{"x": 1, "y": 2.5}, {"x": 3, "y": 0.25}]
    lines = [
        {"key": "a/0.png", "boxes": boxes, "captions": ["one", "two"], "seen": "2026-01-02 03:04:05"},
        {"key": "b/1.png", "boxes": [], "captions": None, "seen": None},
    ]
    result = hs.annotate(store, "d", write("t.jsonl", "\n".join(map(json.dumps, lines))))
    assert result.columns_added == ("boxes", "captions", "seen") and result.counts.edited == 2
    found = rows()
    assert found["a/0.png"]["boxes"] == boxes and found["a/0.png"]["captions"] == ["one", "two"]
    assert found["a/0.png"]["seen"] == dt.datetime(2026, 1, 2, 3, 4, 5)
    assert found["b/1.png"]["boxes"] == [] and found["b/1.png"]["captions"] is None
    kind = pa.list_(pa.struct([("x", pa.int64()), ("y", pa.float64())]))
    table = pa.table({"key": ["b/1.png"], "boxes": pa.array([[{"x": 9, "y": 9.0}]], kind)})
    pq.write_table(table, tmp_path / "t.parquet")
    hs.annotate(store, "d", tmp_path / "t.parquet")
    found = rows()
    assert found["b/1.png"]["boxes"] == [{"x": 9, "y": 9.0}] and found["a/0.png"]["boxes"] == boxes
    with pytest.raises(UsageError, match=r"column 'boxes' has type string, in the dataset it has list<"):
        hs.annotate(store, "d", write("t.csv", "key,boxes\na/0.png,none\n"))


def test_dropped_and_brought_back(store, dataset, rows, write):
    drop = hs.annotate(store, "d", write("t.csv", "key,dropped\na/0.png,true\nb/1.png,\n"))
    assert (drop.counts.dropped, drop.counts.restored) == (1, 0)
    assert "a/0.png" not in rows() and len(rows()) == 5
    hs.annotate(store, "d", write("t.csv", "key,label\na/0.png,lion\n"))  # said of what is dropped
    assert "a/0.png" not in rows()
    back = hs.annotate(store, "d", write("t.csv", "key,dropped\na/0.png,false\nb/1.png,false\n"))
    assert (back.counts.dropped, back.counts.restored) == (0, 1)
    assert rows()["a/0.png"]["label"] == "lion" and len(rows()) == 6


def test_a_replaced_image_stays_replaced(store, dataset, take, rows, picture, read_back):
    (dataset / "a/0.png").write_bytes(picture(100))
    take(dataset)
    table = pa.table({"key": ["a/0.png"], "label": ["lion"], "dropped": [False]})
    result = hs.annotate(store, "d", table)
    assert (result.counts.relabelled, result.counts.restored) == (1, 0)
    (live,) = [record for record in read_back(store, result.version) if record["key"] == "a/0.png"]
    assert live["image"] == picture(100) and live["label"] == "lion"
    assert rows(dropped=True)["a/0.png"]["label"] == "a"
    hs.annotate(store, "d", pa.table({"key": ["a/0.png"], "dropped": [True]}))
    assert "a/0.png" not in rows()
    hs.annotate(store, "d", pa.table({"key": ["a/0.png"], "dropped": [False]}))  # the last one comes back
    (live,) = [record for record in read_back(store, resolve_version(store, "d")) if record["key"] == "a/0.png"]
    assert live["image"] == picture(100)


def test_an_empty_cell_empties_unless_told_otherwise(store, dataset, rows, write):
    table = write("t.csv", "key,label,subset,age\na/0.png,,train,3\nb/1.png,dog,,\n")
    hs.annotate(store, "d", table, keep_empty=True)
    assert rows()["a/0.png"] == {"label": "a", "subset": "train", "age": 3}
    assert rows()["b/1.png"] == {"label": "dog", "subset": None, "age": None}
    hs.annotate(store, "d", write("t.csv", "key,label,subset,age\na/0.png,,,\n"))
    assert rows()["a/0.png"] == {"label": None, "subset": None, "age": None}
    assert rows()["b/1.png"]["label"] == "dog"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key,label\nx,1\na/0.png,lion\ny,2\n", r"keys that are not in d@1: x, y$"),
        ("key,label\n" + "".join(f"k{n},1\n" for n in range(9)), r"k0, k1, k2, k3, k4, … \(9 in all\)"),
        ("key,label\na/0.png,x\na/0.png,y\nb/1.png,z\n", r"keys more than once: a/0\.png$"),
        ("key,label\n,x\n", r"record 1: there is no key"),
        ("label\nx\n", r"has no column 'key'; it has label"),
        ("key\na/0.png\n", r"keys and nothing else"),
        ("key,label\n", r"has no rows"),
        ("key,subset\na/0.png,training\n", r"has subsets training; expected train, val, test or nothing"),
        ("key,dropped\na/0.png,perhaps\n", r"column 'dropped' has type string, expected bool"),
        ("key,label,label\na/0.png,x,y\n", r"column 'label' twice"),
        ("", r"cannot be read"),
    ],
)
def test_bad_tables_are_refused_and_nothing_is_written(store, dataset, write, objects, text, message):
    before = objects(store)
    with pytest.raises(UsageError, match=message):
        hs.annotate(store, "d", write("t.csv", text))
    assert objects(store) == before


def test_a_type_changes_only_when_told_and_whole(store, dataset, rows, write, objects):
    keys = [*rows()]
    some = pa.table({"key": keys[:2], "label": [1, 2]})
    whole = pa.table({"key": keys, "label": list(range(6))})
    before = objects(store)
    for table, retype, message in (
        (whole, (), r"column 'label' has type int64, in the dataset it has string; .* --retype label"),
        (some, ("label",), r"type from string to int64, and 4 images have no value"),
        (pa.table({"key": keys, "label": [1, 2, 3, None, 5, 6]}), ("label",), r"1 images have no value"),
        (whole.drop_columns(["label"]).append_column("a", [["x"] * 6]), ("age",), r"no column age to change"),
        (pa.table({"key": keys, "label": [[1]] * 6}), ("label",), r"labels are of type list"),
    ):
        with pytest.raises(UsageError, match=message):
            hs.annotate(store, "d", table, retype=retype)
    assert objects(store) == before
    result = hs.annotate(store, "d", whole, retype=["label"])
    assert result.counts.relabelled == 6 and result.shards == len(result.version.shards)
    assert [row["label"] for row in rows().values()] == list(range(6))
    hs.annotate(store, "d", write("t.csv", "key,label\na/0.png,7\n"))
    assert rows()["a/0.png"]["label"] == 7


def test_a_column_of_nothing_takes_any_type(store, dataset, rows):
    """Class folders store no subset, and an empty column says nothing of its type."""
    hs.annotate(store, "d", pa.table({"key": ["a/0.png"], "age": pa.array([None], pa.string())}))
    hs.annotate(store, "d", pa.table({"key": ["b/1.png"], "age": [3]}))
    assert rows()["b/1.png"]["age"] == 3 and rows()["a/0.png"]["age"] is None
    view = pa.concat_tables(
        [pa.table({name: [row[name]] for name in ("label", "age") if name in row}) for row in rows().values()],
        promote_options="default",
    )
    assert view.schema.field("age").type == pa.int64()


def test_text_stays_text_and_narrow_types_fit(store, dataset, rows, write):
    hs.annotate(store, "d", write("t.csv", "key,label\na/0.png,007\n"))
    assert rows()["a/0.png"]["label"] == "007"
    hs.annotate(store, "d", pa.table({"key": ["a/0.png"], "age": [3], "weight": [0.5]}))
    narrow = pa.table({"key": ["a/0.png"], "age": pa.array([4], pa.int8()), "weight": pa.array([2], pa.int32())})
    hs.annotate(store, "d", narrow)
    assert (rows()["a/0.png"]["age"], rows()["a/0.png"]["weight"]) == (4, 2.0)
    with pytest.raises(UsageError, match="'age' has type double"):
        hs.annotate(store, "d", pa.table({"key": ["a/0.png"], "age": [4.5]}))
    categories = pa.table({"key": ["a/0.png"], "label": pa.array(["cat"]).dictionary_encode()})
    hs.annotate(store, "d", categories)
    assert rows()["a/0.png"]["label"] == "cat"


def test_who_loses_the_race_annotates_what_won(store, dataset, take, tree, picture, monkeypatch, rows):
    from hapistore.ingestion import annotating

    real, raced = annotating.commit_shards, []

    def commit(*arguments, **more):
        if not raced:
            raced.append(take(tree({"a/0.png": picture(50), "c/9.png": picture(51)}, "more")))
        return real(*arguments, **more)

    monkeypatch.setattr(annotating, "commit_shards", commit)
    result = hs.annotate(store, "d", pa.table({"key": ["a/0.png"], "label": ["lion"]}))
    assert result.version.number == 3 and len(rows()) == 7
    assert rows()["a/0.png"]["label"] == "lion"
    assert rows(dropped=True)["a/0.png"]["label"] == "a"  # replaced by the winner: left alone


def test_what_gc_removed_before_the_commit_is_written_again(store, dataset, monkeypatch):
    from hapistore.ingestion import committing

    real, removed = committing.require_stored, []

    def after_gc(into, names, **more):
        if len(removed) < 2:  # before the commit, and after it
            removed.append(names[0])
            into.delete(names[0])
        real(into, names, **more)

    monkeypatch.setattr(committing, "require_stored", after_gc)
    hs.annotate(store, "d", pa.table({"key": ["a/0.png"], "label": ["lion"]}))
    assert len(removed) == 2 and verify_store(store).damaged == []


def test_other_refusals(store, dataset, write, tmp_path):
    table = pa.table({"key": ["a/0.png"], "label": ["x"]})
    with pytest.raises(UsageError, match="names a version, which never changes"):
        hs.annotate(store, "d@1", table)
    with pytest.raises(UsageError, match="did you mean d"):
        hs.annotate(store, "dd", table)
    with pytest.raises(UsageError, match="no hapistore store"):
        hs.annotate(MemoryStore(), "d", table)
    for path, message in ((tmp_path / "no.csv", "does not exist"), (write("t.txt", "x"), "is no table")):
        with pytest.raises(UsageError, match=message):
            hs.annotate(store, "d", path)
    assert latest_version(store, "d").number == 1
    assert commit_version(store, "d", lambda newest, number: None) is None
