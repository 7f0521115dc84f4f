"""Image shards: every byte comes back, and the digest is of the images and of nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore_format import (
    DamagedError,
    FormatError,
    ImageRecord,
    ImageShardReader,
    record_digest,
    shard_digest,
    write_image_shard,
)
from hapistore_format.image_shard import SCHEMA
from hapistore_format.sealed_arrow import SealedWriter

RECORDS = st.builds(
    lambda image, width, height, orientation, kind: ImageRecord(
        image=image, width=width, height=height, orientation=orientation, format=kind, digest=record_digest(image)
    ),
    st.binary(max_size=200),
    st.integers(1, 2**31 - 1),
    st.integers(1, 2**31 - 1),
    st.integers(1, 8),
    st.sampled_from(["JPEG", "PNG"]),
)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.lists(RECORDS, min_size=1, max_size=8))
def test_what_goes_in_comes_out(records):
    digest, data = write_image_shard(records)
    reader = ImageShardReader(data, where="here")
    assert len(reader) == len(records)
    assert reader.digest == digest
    assert [bytes(reader.image(row)) for row in range(len(reader))] == [r.image for r in records]
    for name in ("width", "height", "orientation", "format", "digest"):
        assert reader.column(name).to_pylist() == [getattr(r, name) for r in records]
    reader.check_digests()


def test_the_digest_is_sha256_of_the_images_sha256(make):
    records = make.records()
    joined = b"".join(hashlib.sha256(record.image).digest() for record in records)
    assert write_image_shard(records)[0] == hashlib.sha256(joined).hexdigest()


def test_the_digest_depends_on_the_order_and_not_on_what_is_said_of_the_images(make):
    records = make.records()
    digest, _ = write_image_shard(records)
    assert write_image_shard(records[::-1])[0] != digest
    assert write_image_shard([dataclasses.replace(r, width=1, orientation=8) for r in records])[0] == digest


def test_equal_images_are_rows_of_their_own(make):
    record = make.records(1)[0]
    reader = ImageShardReader(write_image_shard([record] * 3)[1], where="here")
    assert len(reader) == 3


def test_rows_are_found_across_blocks(make):
    records = make.records(12, size=1 << 20)  # blocks close at 4 MiB
    reader = ImageShardReader(write_image_shard(records)[1], where="here")
    assert reader.column("width").num_chunks > 2
    for row in (0, 11, 3, 4, 7):
        assert reader.image(row) == records[row].image
    for row in (-1, 12):
        with pytest.raises(IndexError, match="of 12"):
            reader.image(row)


def test_an_image_larger_than_a_block(make):
    records = make.records(3, size=5 << 20)
    reader = ImageShardReader(write_image_shard(records)[1], where="here")
    assert [len(reader.image(row)) for row in range(3)] == [(5 << 20) + row for row in range(3)]


def test_plain_arrow_opens_it(make):
    records = make.records()
    table = pa.ipc.open_file(pa.py_buffer(write_image_shard(records)[1])).read_all()
    assert table["image"].to_pylist() == [record.image for record in records]
    assert table["digest"].to_pylist() == [record.digest for record in records]


def test_an_image_that_is_not_the_one_named_is_found(make):
    records = make.records()
    records[2] = dataclasses.replace(records[2], image=b"another picture")
    reader = ImageShardReader(write_image_shard(records)[1], where="here")
    with pytest.raises(DamagedError, match="row 2 "):
        reader.check_digests()


def test_no_records_make_no_shard():
    with pytest.raises(ValueError, match="at least one block"):
        write_image_shard([])


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_record_digest_of_another_length_is_refused(size):
    with pytest.raises(ValueError, match="32"):
        shard_digest([bytes(size)])


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
