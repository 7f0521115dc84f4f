"""Sealed JSON: whatever goes in comes out, in one spelling, and nothing else is let in."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore_format import DamagedError, FormatError, read_sealed_json, write_sealed_json
from hapistore_format.sealed_json import check_format, take

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(TEXT.filter(lambda key: key != "sha256"), VALUES, min_size=1, max_size=5)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(OBJECTS)
def test_what_goes_in_comes_out(value):
    data = write_sealed_json(value)
    assert read_sealed_json(data, where="here") == value
    assert json.loads(data) == {**value, "sha256": data[-68:-4].decode()}
    assert write_sealed_json(dict(reversed(value.items()))) == data


def test_the_seal_can_be_checked_with_sha256sum():
    data = write_sealed_json({"format": 1, "kind": "hapistore"})
    zeroed = data[:-68] + b"0" * 64 + data[-4:]
    assert hashlib.sha256(zeroed).hexdigest().encode() == data[-68:-4]


def test_the_spelling():
    assert write_sealed_json({"b": [1], "a": "ü"})[:-68].decode() == '{\n "a": "ü",\n "b": [\n  1\n ],\n "sha256": "'


@pytest.mark.parametrize("value", [{}, {"sha256": 1}, {"a": 1, "sha256": "x"}])
def test_what_cannot_be_sealed_is_refused_when_written(value):
    with pytest.raises(ValueError, match="sha256"):
        write_sealed_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes"])
def test_what_json_has_no_word_for_is_refused_when_written(value):
    with pytest.raises((ValueError, TypeError)):
        write_sealed_json({"a": value})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a":',
        '[{"a": 1',
        '"a": 1',
        '{"a": 1}',
        '{"a": 1,',
        "{'a': 1",
        '{"a": 1}, {"b": 2',
        "\ud800",
        "[" * 100_000,
    ],
)
def test_sealed_text_that_is_no_object_is_refused(make, text):
    with pytest.raises(FormatError) as caught:
        read_sealed_json(make.sealed(text), where="here")
    assert caught.value.code in ("bad-json", "no-seal")
    assert caught.value.where == "here"


def test_a_deeply_nested_object_is_refused(make):
    text = '{"a": ' + "[" * 200_000 + "]" * 200_000
    with pytest.raises(FormatError) as caught:
        read_sealed_json(make.sealed(text), where="here")
    assert caught.value.code == "bad-json"


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed():
    class Huge(bytes):
        def __len__(self):
            return 1 << 40

    with pytest.raises(FormatError) as caught:
        read_sealed_json(Huge(), where="here")
    assert caught.value.code == "too-large"


def test_an_upper_case_seal_is_another_file():
    data = write_sealed_json({"a": 1})
    with pytest.raises(DamagedError):
        read_sealed_json(data[:-68] + data[-68:-4].upper() + data[-4:], where="here")


@pytest.mark.parametrize(("found", "kind"), [(True, int), ("1", int), (1, str), (None, str), (1.0, int), ([], dict)])
def test_a_field_of_another_type_is_refused(found, kind):
    with pytest.raises(FormatError, match="'a'") as caught:
        take({"a": found}, "a", kind, where="here")
    assert caught.value.code == "bad-field"


def test_a_missing_field_is_refused():
    with pytest.raises(FormatError, match="'a' is None, expected int"):
        take({}, "a", int, where="here")


@pytest.mark.parametrize("version", [2, 3, 10**9, 0, -1])
def test_other_format_versions_are_refused(version):
    with pytest.raises(FormatError) as caught:
        check_format({"format": version}, 1, where="here")
    assert caught.value.code == "unsupported-version"
    assert str(version) in str(caught.value)
