"""Annotation shards: any metadata column comes back, and what every row must have is checked."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from hapistore_format import AnnotationShard, FormatError, write_annotations
from hapistore_format.sealed_arrow import SealedWriter


def test_what_goes_in_comes_out(make):
    table = make.annotations(50).append_column("tags", pa.array([["a"], []] * 25, pa.list_(pa.string())))
    shard = AnnotationShard(write_annotations(table), where="here")
    assert shard.table.equals(table)
    assert shard.rows == 50
    assert shard.live_rows == 49
    assert shard.columns()["weight"] == "double"


def test_more_rows_than_a_block_holds(make):
    table = make.annotations(70_000)
    shard = AnnotationShard(write_annotations(table), where="here")
    assert shard.table["key"].num_chunks == 2
    assert shard.table.equals(table)


def test_categories_are_stored_as_their_values(make):
    plain = make.annotations(5)
    labels = pa.array(["a", None, "b", "a", "b"])
    table = plain.set_column(1, "label", labels.dictionary_encode())
    assert AnnotationShard(write_annotations(table), where="here").table["label"].to_pylist() == labels.to_pylist()


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.float64(), pa.null()])
def test_any_kind_of_label(make, kind):
    table = make.annotations(3).set_column(1, "label", pa.array([None] * 3, kind))
    assert AnnotationShard(write_annotations(table), where="here").table["label"].type == kind


def test_plain_arrow_opens_it(make):
    table = make.annotations()
    found = pa.ipc.open_file(pa.py_buffer(write_annotations(table))).read_all()
    assert found.to_pylist() == table.to_pylist()


def test_writing_again_gives_the_same_bytes(make):
    assert bytes(write_annotations(make.annotations())) == bytes(write_annotations(make.annotations()))


def test_columns_in_another_order_are_refused_when_written(make):
    table = make.annotations()
    with pytest.raises(ValueError, match="begin with"):
        write_annotations(table.select(["label", "key", "subset", "dropped"]))


def craft(table: pa.Table, meta: object) -> memoryview:
    text = meta if isinstance(meta, bytes) else json.dumps(meta).encode()
    schema = table.schema.with_metadata({b"hapistore.annotations": text})
    writer = SealedWriter(schema)
    for batch in table.to_batches():
        writer.write(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    return writer.finish()


def test_the_crafted_shards_start_from_a_good_one(make):
    assert AnnotationShard(craft(make.annotations(), {"format": 1, "rows": 5}), where="here").rows == 5


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        (b"", "bad-annotations"),
        (b"{", "bad-annotations"),
        ([], "bad-annotations"),
        ({"rows": 5}, "bad-field"),
        ({"format": 2, "rows": 5}, "unsupported-version"),
        ({"format": 1}, "bad-field"),
        ({"format": 1, "rows": 6}, "bad-annotations"),
    ],
    ids=repr,
)
def test_a_lying_description_is_refused(make, meta, code):
    with pytest.raises(FormatError) as caught:
        AnnotationShard(craft(make.annotations(), meta), where="here")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("key", pa.array([1, 2, 3, 4, 5])),
        ("key", pa.array(["a", None, "c", "d", "e"])),
        ("dropped", pa.array([0, 1, 0, 1, 0])),
        ("dropped", pa.array([True, None, True, True, True])),
    ],
)
def test_a_column_that_every_row_must_have_is_checked(make, column, values):
    table = make.annotations()
    table = table.set_column(table.column_names.index(column), column, values)
    with pytest.raises(FormatError, match=column) as caught:
        AnnotationShard(craft(table, {"format": 1, "rows": 5}), where="here")
    assert caught.value.code == "bad-annotations"


def test_missing_columns_are_refused(make):
    with pytest.raises(FormatError, match="its columns begin"):
        AnnotationShard(craft(make.annotations().drop_columns(["dropped"]), {"format": 1, "rows": 5}), where="here")
