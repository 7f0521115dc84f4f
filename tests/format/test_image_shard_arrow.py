"""What only image shards in the Arrow layout do: other tools open them, and lying ones are refused."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from hapistore_format import (
    DamagedError,
    FormatError,
    ImageShardReader,
    record_digest,
    shard_digest,
    write_image_shard,
)
from hapistore_format.image_shard import SCHEMA
from hapistore_format.sealed_arrow import SealedFile, SealedWriter


def test_rows_are_found_across_blocks(make):
    records = make.records(12, size=1 << 20)  # blocks close at 4 MiB
    reader = ImageShardReader(write_image_shard(records)[1], where="here")
    assert reader.column("width").num_chunks > 2
    assert [bytes(reader.image(row)) for row in range(12)] == [record.image for record in records]


def test_plain_arrow_opens_it(make):
    records = make.records()
    table = pa.ipc.open_file(pa.py_buffer(write_image_shard(records)[1])).read_all()
    assert table["image"].to_pylist() == [record.image for record in records]
    assert table["digest"].to_pylist() == [record.digest for record in records]


def craft(meta: object, schema: pa.Schema = SCHEMA, **columns: list) -> memoryview:
    """A rightly sealed shard with any description and any columns."""
    values = {
        "image": [b"x"], "width": [1], "height": [1], "orientation": [1], "format": ["PNG"],
        "digest": [record_digest(b"x")], **columns,
    }  # fmt: skip
    text = meta if isinstance(meta, bytes) else json.dumps(meta).encode()
    schema = schema.with_metadata({b"hapistore.images": text})
    writer = SealedWriter(schema)
    arrays = [pa.array(values[field.name], field.type) for field in schema]
    writer.write(pa.record_batch(arrays, schema=schema))
    return writer.finish()


GOOD = {"digest": shard_digest([record_digest(b"x")]), "format": 1, "rows": 1}


def test_the_crafted_shards_start_from_a_good_one():
    ImageShardReader(craft(GOOD), where="here").check_digests()


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        (b"", "bad-images"),
        (b"{", "bad-images"),
        (b"[" * 100_000, "bad-images"),
        (b"\xff", "bad-images"),
        ([], "bad-images"),
        ({**GOOD, "format": 2}, "unsupported-version"),
        ({**GOOD, "format": "1"}, "bad-field"),
        ({**GOOD, "digest": 1}, "bad-field"),
        ({**GOOD, "rows": 2}, "bad-images"),
        ({**GOOD, "rows": 1 << 60}, "bad-images"),
        ({**GOOD, "rows": None}, "bad-field"),
    ],
    ids=repr,
)
def test_a_lying_description_is_refused(meta, code):
    with pytest.raises(FormatError) as caught:
        ImageShardReader(craft(meta), where="here")
    assert caught.value.code == code


@pytest.mark.parametrize("column", SCHEMA.names)
def test_a_row_without_a_value_is_refused(column):
    with pytest.raises(FormatError) as caught:
        ImageShardReader(craft(GOOD, **{column: [None]}), where="here")
    assert caught.value.code == "bad-images"


def test_a_block_without_rows_is_refused():
    with pytest.raises(FormatError):
        ImageShardReader(craft({**GOOD, "rows": 0}, **{name: [] for name in SCHEMA.names}), where="here")


def test_other_columns_are_refused():
    for schema in (SCHEMA.remove(1), SCHEMA.append(pa.field("image2", pa.binary()))):
        columns = {"image2": [b""]} if "image2" in schema.names else {}
        with pytest.raises(FormatError, match="its columns are"):
            ImageShardReader(craft(GOOD, schema, **columns), where="here")


def test_digests_that_are_not_the_shards_are_found():
    with pytest.raises(DamagedError, match="not those of the shard"):
        ImageShardReader(craft({**GOOD, "digest": "ab" * 32}), where="here").check_digests()


def test_late_text_is_of_the_length_it_was_given_room_for():
    schema = pa.schema([("a", pa.int32())]).with_metadata({"known": "?" * 8})
    batch = pa.record_batch([pa.array([1], pa.int32())], schema=schema)

    def finish(late):
        writer = SealedWriter(schema)
        writer.write(batch)
        return writer.finish(late=late)

    data = finish({b"?" * 8: b"1234567 "})
    assert SealedFile(data, where="here").schema.metadata == {b"known": b"1234567 "}
    assert pa.ipc.open_file(pa.py_buffer(data)).schema.metadata == {b"known": b"1234567 "}
    for late in ({b"?" * 8: b"123"}, {b"!" * 8: b"12345678"}, {b"?" * 2: b"12"}):
        with pytest.raises(ValueError, match="not in the schema once"):
            finish(late)
