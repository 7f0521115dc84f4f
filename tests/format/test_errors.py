"""Errors of stored bytes say what and where, and cross process borders whole."""

from __future__ import annotations

import pickle

import pytest

from hapistore_format import DamagedError, FormatError, HapistoreError


@pytest.mark.parametrize("kind", [FormatError, DamagedError])
def test_an_error_survives_pickling(kind):
    error = kind("bad-seal", "its bytes do not match", where="images/x.arrow")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.code, copy.detail, copy.where) == ("bad-seal", "its bytes do not match", "images/x.arrow")
    assert str(copy) == str(error) == "images/x.arrow: its bytes do not match [bad-seal]"


def test_damage_is_a_format_error_is_ours():
    assert issubclass(DamagedError, FormatError)
    assert issubclass(FormatError, HapistoreError)


def test_an_unknown_place_is_left_out():
    assert str(FormatError("bad-json", "no JSON")) == "no JSON [bad-json]"
