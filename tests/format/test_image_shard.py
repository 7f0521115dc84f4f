"""Image shards of every layout: every byte comes back, and the digest is of the images and of nothing else."""

from __future__ import annotations

import dataclasses
import gc
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore_format import DamagedError, ImageRecord, record_digest, shard_digest

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
def test_what_goes_in_comes_out(layout, records):
    digest, data = layout.write(records)
    reader = layout.open(data)
    assert len(reader) == len(records)
    assert reader.digest == digest
    assert [bytes(reader.image(row)) for row in range(len(reader))] == [r.image for r in records]
    for name in ("width", "height", "orientation", "format", "digest"):
        assert reader.column(name).to_pylist() == [getattr(r, name) for r in records]
    reader.check_digests()


def test_the_digest_is_sha256_of_the_images_sha256(layout, make):
    records = make.records()
    joined = b"".join(hashlib.sha256(record.image).digest() for record in records)
    assert layout.write(records)[0] == hashlib.sha256(joined).hexdigest()


def test_the_digest_depends_on_the_order_and_not_on_what_is_said_of_the_images(layout, make):
    records = make.records()
    digest, _ = layout.write(records)
    assert layout.write(records[::-1])[0] != digest
    assert layout.write([dataclasses.replace(r, width=1, orientation=8) for r in records])[0] == digest


def test_equal_images_are_rows_of_their_own(layout, make):
    record = make.records(1)[0]
    reader = layout.open(layout.write([record] * 3)[1])
    assert len(reader) == 3


def test_rows_are_found_in_any_order(layout, make):
    records = make.records(12, size=1 << 20)
    reader = layout.open(layout.write(records)[1])
    for row in (0, 11, 3, 4, 7):
        assert reader.image(row) == records[row].image
    for row in (-1, 12):
        with pytest.raises(IndexError, match="of 12"):
            reader.image(row)


def test_an_image_larger_than_a_block(layout, make):
    records = make.records(3, size=5 << 20)
    reader = layout.open(layout.write(records)[1])
    assert [len(reader.image(row)) for row in range(3)] == [(5 << 20) + row for row in range(3)]


def test_an_image_that_is_not_the_one_named_is_found(layout, make):
    records = make.records()
    records[2] = dataclasses.replace(records[2], image=b"another picture")
    reader = layout.open(layout.write(records)[1])
    with pytest.raises(DamagedError, match="row 2 "):
        reader.check_digests()


def test_records_come_out_as_they_went_in(layout, make):
    records = make.records(7)
    assert list(layout.open(layout.write(records)[1]).records()) == records


def test_a_layout_does_not_change_the_digest(layouts, make):
    assert len({layout.write(make.records())[0] for layout in layouts.values()}) == 1


def test_equal_records_make_equal_bytes(layout, make):
    data = [bytes(layout.write(make.records(250, size=size))[1]) for size in (40, 3000, 40, 3000)]
    assert data[:2] == data[2:] and data[0] != data[1]


def test_an_image_outlives_its_reader(layout, make):
    records = make.records(5, size=9000)
    reader = layout.open(layout.write(records)[1])
    views = [reader.image(row) for row in range(5)]
    parts = [view[100:200] for view in views]
    del reader
    gc.collect()
    other = layout.open(layout.write(make.records(5, size=7000))[1])
    assert [bytes(view) for view in views] == [record.image for record in records]
    assert [bytes(part) for part in parts] == [record.image[100:200] for record in records]
    assert len(other.image(0)) == 7000


def test_an_image_cannot_be_written_to(layout, make):
    assert layout.open(layout.write(make.records())[1]).image(0).readonly


def test_images_are_unsigned_bytes(layout, make):
    """Arrow's own are signed: decoders refuse them, or take them for another image."""
    assert layout.open(layout.write(make.records())[1]).image(0).format == "B"


def test_no_records_make_no_shard(layout):
    with pytest.raises(ValueError, match="at least one"):
        layout.write([])


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_record_digest_of_another_length_is_refused(size):
    with pytest.raises(ValueError, match="32"):
        shard_digest([bytes(size)])
