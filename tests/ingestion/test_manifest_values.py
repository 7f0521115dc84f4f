"""Manifests: what their columns become."""

from __future__ import annotations

import json
from datetime import date, datetime

import pyarrow as pa
import pytest

from hapistore.errors import UsageError
from hapistore.ingestion import open_source


@pytest.fixture
def read(tree, listed):
    """The annotations that a manifest's text says."""

    def read(name: str, text: str | bytes, **columns: str) -> pa.Table:
        return listed(open_source(tree({name: text}) / name, **columns)).annotations

    return read


def test_csv_with_all_that_csv_can_do(read):
    text = '\ufeffpath,key,label,"size, mm",note\r\n"a b.png","k,1",NA,3,"say ""ä"""\r\nc/d.png,k2,,4.5,\r\n'
    table = read("list.csv", text)
    assert table.to_pylist() == [
        {"key": "k,1", "label": "NA", "subset": None, "size, mm": 3.0, "note": 'say "ä"'},
        {"key": "k2", "label": None, "subset": None, "size, mm": 4.5, "note": None},
    ]


def test_paths_are_relative_to_the_manifest_and_are_the_keys(tree, listed):
    root = tree({"lists/all.csv": "path\n../images/a.png\nb.png\n"})
    listing = listed(open_source(root / "lists/all.csv"))
    assert listing.annotations["key"].to_pylist() == ["../images/a.png", "b.png"]
    assert [path.resolve() for path in listing.images] == [root / "images/a.png", root / "lists/b.png"]


@pytest.mark.parametrize(
    ("labels", "type", "values"),
    [
        (["3", "-1", ""], pa.int64(), [3, -1, None]),
        (["0.5", "2", ""], pa.float64(), [0.5, 2.0, None]),
        (["true", "false", ""], pa.int64(), [1, 0, None]),
        (["cat", "3", ""], pa.string(), ["cat", "3", None]),
        (["NA", "null", "NaN?"], pa.string(), ["NA", "null", "NaN?"]),
        (['""', "", ""], pa.string(), [None, None, None]),
    ],
)
def test_types_of_labels(read, labels, type, values):
    table = read("list.csv", "path,label\n" + "".join(f"{n}.png,{label}\n" for n, label in enumerate(labels)))
    assert table.schema.field("label").type == type
    assert table["label"].to_pylist() == values


def test_json_columns_keep_their_arrow_types(read):
    rows = [
        {
            "path": "a.png",
            "label": "é🐕",
            "box": {"xy": [1, 2], "sure": True},
            "score": 1,
            "when": "2021-03-04 05:06:07",
        },
        {"path": "b.png", "subset": "val", "box": {"xy": []}, "score": 2.5, "tags": ["x", None]},
    ]
    table = read("list.jsonl", "\ufeff" + "\n\n".join(map(json.dumps, rows)))
    assert {field.name: str(field.type) for field in table.schema} == {
        "key": "string",
        "label": "string",
        "subset": "string",
        "box": "struct<xy: list<item: int64>, sure: bool>",
        "score": "double",
        "when": "timestamp[s]",
        "tags": "list<item: string>",
    }
    assert table.to_pylist() == [
        {"key": "a.png", "label": "é🐕", "subset": None, "box": {"xy": [1, 2], "sure": True}, "score": 1.0}
        | {"when": datetime(2021, 3, 4, 5, 6, 7), "tags": None},
        {"key": "b.png", "label": None, "subset": "val", "box": {"xy": [], "sure": None}, "score": 2.5}
        | {"when": None, "tags": ["x", None]},
    ]


@pytest.mark.parametrize(("name", "last"), [("list.csv", "late"), ("list.jsonl", 2.5)])
def test_columns_are_typed_over_the_whole_file(read, name, last):
    # Arrow reads in blocks of 1 MiB: the value that decides the type lies in the second.
    values = [*range(20_000), last]
    if name == "list.csv":
        text = "path,m,pad\n" + "".join(f"{n}.png,{value},{'x' * 50}\n" for n, value in enumerate(values))
    else:
        text = "".join(f'{{"path":"{n}.png","m":{value},"pad":"{"x" * 50}"}}\n' for n, value in enumerate(values))
    assert len(text) > 1 << 20
    column = read(name, text)["m"]
    assert column.type == (pa.string() if last == "late" else pa.float64())
    assert column.to_pylist() == [type(last)(value) for value in values]


def test_named_columns(read):
    text = "file,defect,part,grade\nx.png,2,train,A\ny.png,0,,B\n"
    names = {"path_column": "file", "label_column": "defect", "subset_column": "part"}
    assert read("list.csv", text, **names).to_pylist() == [
        {"key": "x.png", "label": 2, "subset": "train", "grade": "A"},
        {"key": "y.png", "label": 0, "subset": None, "grade": "B"},
    ]


def test_metadata_is_stored_and_read_back(tree, picture, store, take, read_back):
    rows = [{"path": f"{n}.png", "label": n, "box": {"xy": [n, n + 1]}, "on": f"2021-01-0{n + 1}"} for n in range(3)]
    files = {f"{n}.png": picture(n) for n in range(3)}
    root = tree({**files, "list.ndjson": "\n".join(map(json.dumps, rows))})
    records = read_back(store, take(root / "list.ndjson").version)
    assert [(r["label"], r["box"], r["image"]) for r in records] == [
        (n, {"xy": [n, n + 1]}, files[f"{n}.png"]) for n in range(3)
    ]
    assert [r["on"] for r in records] == [datetime(2021, 1, n + 1) for n in range(3)]


def test_times_keep_their_microseconds_and_finer_ones_are_refused(tree, picture, store, take, read_back):
    root = tree({"a.png": picture(0), "list.csv": "path,at,day\na.png,2021-01-01 00:00:00.123456,2021-01-02\n"})
    (record,) = read_back(store, take(root / "list.csv").version)
    assert record["at"] == datetime(2021, 1, 1, 0, 0, 0, 123456) and record["day"] == date(2021, 1, 2)
    root = tree({"list.csv": "path,at\na.png,2021-01-01 00:00:00.123456789\n"})
    with pytest.raises(UsageError, match="column 'at' has times finer than a microsecond"):
        take(root / "list.csv")


def test_a_column_named_key_gives_the_keys_of_a_picture_taken_twice(tree, picture, store, take, read_back):
    root = tree({"a.png": picture(0), "list.csv": "path,key,label\na.png,first,x\na.png,second,y\n"})
    records = read_back(store, take(root / "list.csv").version)
    assert [(r["key"], r["label"], r["image"]) for r in records] == [
        ("first", "x", picture(0)),
        ("second", "y", picture(0)),
    ]
