"""Hashing many images at once is hashlib's hashing, with and without the C library behind it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hapistore.ingestion import hash_kernel


@pytest.fixture(params=[True, False], ids=["openssl", "hashlib"])
def found(request, monkeypatch):
    if request.param and not hash_kernel._FOUND:
        pytest.skip("this Python does not show the OpenSSL it is linked to")
    monkeypatch.setattr(hash_kernel, "_FOUND", request.param)


@pytest.mark.usefixtures("found")
def test_digests_are_those_of_hashlib():
    check(*places_of([0, 1, 55, 56, 63, 64, 65, 100_000, 3 << 20]))


@pytest.mark.usefixtures("found")
def test_images_that_are_left_out_cost_no_other():
    data, places, sizes = places_of([10, 20, 30])
    sizes[1] = -1
    digests = hash_kernel.hash_images(data, places, sizes)
    assert len(digests) == 3
    assert digests[0] == hashlib.sha256(data[:10]).digest()
    assert digests[2] == hashlib.sha256(data[30:60]).digest()


def test_of_none_there_are_none():
    assert hash_kernel.hash_images(np.empty(0, np.uint8), *np.empty((2, 0), np.int64)) == []


@given(st.lists(st.integers(0, 300), max_size=20))
def test_digests_of_any_sizes(sizes):
    check(*places_of(sizes))


def places_of(sizes):
    data = np.random.default_rng(len(sizes)).integers(0, 256, sum(sizes), dtype=np.uint8)
    ends = np.cumsum(sizes, dtype=np.int64)
    return data, ends - np.array(sizes, np.int64), np.array(sizes, np.int64)


def check(data, places, sizes):
    expected = [hashlib.sha256(data[at : at + size]).digest() for at, size in zip(places, sizes, strict=True)]
    assert hash_kernel.hash_images(data, places, sizes) == expected
