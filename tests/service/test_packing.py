"""What crosses in fewer bytes comes out as it went in, and takes no more memory than it says, whatever it is."""

from __future__ import annotations

import os

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hapistore.errors import DamagedError, FormatError, TransientError
from hapistore.service.bundle import bundle, unbundle
from hapistore.service.missing_list import read_missing, write_missing
from hapistore.service.packing import MOST_PACKED_BYTES, pack, unpack
from hapistore_format import DatasetVersion, MissingRow, ShardRef, write_sealed_json

VERSION = DatasetVersion(
    dataset="pets",
    number=1,
    created="2026-01-01T00:00:00Z",
    shards=tuple(
        ShardRef(images=f"{number:064x}", annotations="1" * 64, layout="arrow", rows=10, bytes=1) for number in range(3)
    ),
)
MISSING = {0: (MissingRow(3, "undecodable"), MissingRow(9, "crashed")), 2: (MissingRow(0, "crashed"),)}


@given(st.binary(max_size=300), st.integers(0, 40), st.integers(0, 40))
def test_what_was_packed_comes_out_as_it_was(data, before, after):
    whole = b"said of it " * 100 * before + data + b"\0" * 200 * after
    packed = pack(memoryview(whole))
    if packed is None:
        assert before + after < 2
    else:
        assert len(packed) < len(whole)
        assert unpack(memoryview(packed), len(whole)) == whole


def test_compressed_values_do_not_spoil_what_stands_around_them():
    values, around = os.urandom(48 << 10), b"name: value, " * 1000
    packed = pack(memoryview(around + values + around))
    assert len(packed) < len(values) + 1000
    assert pack(memoryview(values)) is None


def test_large_messages_are_left_as_they_are():
    assert pack(memoryview(bytes(MOST_PACKED_BYTES))) is not None
    assert pack(memoryview(bytes(MOST_PACKED_BYTES + 1))) is None


@pytest.mark.parametrize("size", [None, True, -1, 0, 99, 101, 1.0, "100", MOST_PACKED_BYTES + 1, 1 << 62])
def test_a_size_that_is_not_the_messages_is_refused(size):
    with pytest.raises(TransientError):
        unpack(memoryview(zstandard.compress(bytes(100))), size)


def test_a_message_that_would_become_too_much_is_not_unpacked():
    bomb = zstandard.compress(bytes(64 << 20))
    assert len(bomb) < MOST_PACKED_BYTES
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64 << 20))
    for data in (bomb, silent, bomb[:-5], b"", b"\xff" * 40):
        for size in (100, MOST_PACKED_BYTES):
            with pytest.raises(TransientError):
                unpack(memoryview(data), size)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=9))
def test_objects_come_apart_as_they_were(objects):
    data = bundle([memoryview(one) for one in objects])
    assert unbundle(data, most=9) == objects
    with pytest.raises(ValueError, match="objects"):
        unbundle(data, most=len(objects) - 1)
    with pytest.raises(ValueError, match="bytes"):
        unbundle(memoryview(bytes(data) + bytes(8)), most=9)


@given(st.binary(max_size=80) | st.lists(st.integers(0, 2**64 - 1), max_size=8).map(
    lambda words: np.array(words, "<u8").tobytes()
))  # fmt: skip
def test_what_is_no_bundle_is_refused(data):
    try:
        found = unbundle(memoryview(data), most=4)
    except ValueError:
        return
    assert 0 < len(found) <= 4
    assert sum(map(len, found)) <= len(data)


def test_missing_rows_cross_as_they_are():
    assert read_missing(memoryview(write_missing(MISSING)), version=VERSION, where="x") == MISSING
    assert read_missing(memoryview(write_missing({})), version=VERSION, where="x") == {}


@pytest.mark.parametrize("shards", [
    [], {"3": {"missing": [[0, "crashed"]], "requires": ["missing-rows"]}}, {"-1": {}}, {"0": {}}, {"0": []}, {"x": {}},
    {"0": {"missing": [[10, "crashed"]], "requires": ["missing-rows"]}}, {"9" * 5000: {}}, {"\u0661": {}},
])  # fmt: skip
def test_rows_that_a_version_has_not_cannot_be_missing(shards):
    with pytest.raises(FormatError):
        read_missing(memoryview(write_sealed_json({"shards": shards})), version=VERSION, where="x")


def test_missing_rows_that_were_garbled_are_not_believed():
    data = bytearray(write_missing(MISSING))
    data[data.index(b"9")] = ord("8")
    with pytest.raises(DamagedError):
        read_missing(memoryview(data), version=VERSION, where="x")
