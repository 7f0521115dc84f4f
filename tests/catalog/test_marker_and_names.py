"""The store's marker, and the names of objects."""

from __future__ import annotations

import pytest

from hapistore.catalog import ensure_marker, names, require_store
from hapistore.errors import UsageError
from hapistore.stores.protocol import check_name
from hapistore_format import FormatError, codec_names, write_sealed_json

A, B = "ab" * 32, "cd" * 32


def test_what_is_no_store_is_refused_with_what_to_do(store):
    with pytest.raises(UsageError, match=r"no hapistore store at memory:; create one with `hapistore ingest"):
        require_store(store)


def test_a_store_is_marked_once(store):
    ensure_marker(store)
    data = bytes(store.get("hapistore.json"))
    ensure_marker(store)
    require_store(store)
    assert bytes(store.get("hapistore.json")) == data


def test_a_store_of_a_later_format_is_refused_and_not_written_to(store):
    store.create("hapistore.json", write_sealed_json({"format": 2, "kind": "hapistore"}))
    for call in (require_store, ensure_marker):
        with pytest.raises(FormatError, match="install a newer one") as caught:
            call(store)
        assert caught.value.code == "unsupported-version"


def test_a_damaged_marker_is_an_error_of_its_own(store):
    ensure_marker(store)
    store.put("hapistore.json", bytes(store.get("hapistore.json")).replace(b"format", b"fOrmat"))
    with pytest.raises(FormatError, match="hapistore.json"):
        require_store(store)


EXAMPLES = {
    "marker": (names.MARKER, {}),
    "version": (names.version_name("pets", 7), {"dataset": "pets", "number": "00000007"}),
    "expiry": (names.expiry_name("pets", 7), {"dataset": "pets", "number": "00000007"}),
    "quarantine": (names.quarantine_name("pets", A), {"dataset": "pets", "digest": A}),
    "images": (names.images_name(A), {"digest": A, "layout": "arrow"}),
    "images in lmdb": (names.images_name(A, "lmdb"), {"digest": A, "layout": "lmdb"}),
    "seal": (names.seal_name(A), {"digest": A}),
    "annotations": (names.annotations_name(A), {"digest": A}),
    "recipe": (names.recipe_name(A), {"digest": A}),
    "weights": (names.weights_name(A), {"digest": A}),
    "features": (names.features_name(A, "u8c+zstd", B), {"recipe": A, "codec": "u8c+zstd", "images": B}),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_name_that_is_made_is_understood(kind):
    name, parts = EXAMPLES[kind]
    assert names.parse_name(name) == (kind.partition(" ")[0], parts)
    assert check_name(name) == name


def test_every_codec_makes_a_name_that_stores_take():
    for codec in codec_names():
        assert names.parse_name(check_name(names.features_name(A, codec, B))).parts["codec"] == codec


@pytest.mark.parametrize(
    "name",
    [
        *(f"images/{A}.json", f"images/{A}.arrow.json", f"images/{A}.lmdb-lock", f"images/{A}.lmdb.json.2"),
        *("x", "images/x.arrow", f"images/{A.upper()}.arrow", f"images/{A}.arrow.bak", f"x/images/{A}.arrow"),
        *("datasets/pets/versions/7.json", f"features/{A}/f32/x/{B}.arrow", "hapistore.json2", f"images/{A}.arrow\n"),
    ],
)
def test_other_names_are_none_of_ours(name):
    assert names.parse_name(name) is None
