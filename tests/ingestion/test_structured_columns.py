"""Boxes, captions and other structured columns stay Arrow types, and change like any other."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from hapistore.catalog.names import annotations_name
from hapistore.errors import UsageError
from hapistore_format import AnnotationShard

ROWS = [
    {"path": "a.png", "boxes": [{"x": 1, "y": 2.5, "of": "dog"}], "captions": ["a dog"], "at": {"lat": 1.5}},
    {"path": "b.png", "boxes": [], "captions": None, "at": None},
    {"path": "c.png", "boxes": [{"x": 3, "y": 0.5, "of": None}], "captions": ["c", "d"], "at": {"lat": -3.0}},
]


@pytest.fixture
def write(tree, picture):
    def write(rows: list[dict]):
        files = {row["path"]: picture(ord(row["path"][0])) for row in rows}
        return tree({**files, "all.jsonl": "\n".join(map(json.dumps, rows))}) / "all.jsonl"

    return write


def annotations(store, version) -> pa.Table:
    names = [annotations_name(shard.annotations) for shard in version.shards]
    return pa.concat_tables(
        [AnnotationShard(store.get(name), where=name).table for name in names], promote_options="permissive"
    )


def test_they_are_kept_as_they_are(write, take, store):
    table = annotations(store, take(write(ROWS)).version)
    assert table.select(["boxes", "captions", "at"]).to_pylist() == [
        {name: row[name] for name in ("boxes", "captions", "at")} for row in ROWS
    ]
    assert pa.types.is_list(table.schema.field("boxes").type)
    assert pa.types.is_struct(table.schema.field("at").type)


def test_again_changes_nothing_and_a_change_one_shard(write, take, store):
    first = take(write(ROWS), shard_bytes=1).version
    assert not take(write(ROWS), shard_bytes=1).committed
    changed = [*ROWS[:2], {**ROWS[2], "boxes": [{"x": 4, "y": 0.5, "of": None}]}]
    second = take(write(changed), shard_bytes=1).version
    same = [one == other for one, other in zip(first.shards, second.shards, strict=True)]
    assert same == [True, True, False]
    assert annotations(store, second)["boxes"].to_pylist()[2] == [{"x": 4, "y": 0.5, "of": None}]


def test_a_new_record_beside_them(write, take, store):
    take(write(ROWS))
    version = take(write([*ROWS, {"path": "d.png", "boxes": [{"x": 9, "y": 1.0, "of": "e"}]}])).version
    assert annotations(store, version)["boxes"].to_pylist()[3] == [{"x": 9, "y": 1.0, "of": "e"}]


def test_another_type_inside_is_refused(write, take, store):
    take(write(ROWS))
    with pytest.raises(UsageError, match="column 'captions'"):
        take(write([{**ROWS[0], "captions": [7]}]))


def test_a_value_that_is_no_number_changes_nothing(tree, picture, take, store):
    text = "path,m\na.png,nan\nb.png,1.5\n"
    root = tree({"a.png": picture(0), "b.png": picture(1), "all.csv": text})
    assert take(root / "all.csv").committed
    assert not take(root / "all.csv").committed
