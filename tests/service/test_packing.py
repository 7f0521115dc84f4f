"""What crosses in fewer bytes comes out as it went in, and takes no more memory than it says, whatever it is."""

from __future__ import annotations

import os

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hapistore.errors import TransientError
from hapistore.service.packing import MOST_PACKED_BYTES, pack, unpack


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
