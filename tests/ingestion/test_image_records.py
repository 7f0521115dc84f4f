"""Records from Python: what can be handed over, and what is refused in one line."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import hapistore as hs
from hapistore.errors import UsageError
from hapistore.ingestion import image_records, ingest


def test_mappings_of_a_generator(tree, picture, kept):
    root = tree({"a.png": picture(0)})

    def records():
        yield {"key": "a", "image": root / "a.png", "label": "cat", "boxes": [], "who": {"name": "x"}}
        yield {"key": "b", "image": picture(1), "label": None, "boxes": [[1, 2]], "subset": "validation"}
        yield {"key": "c", "image": memoryview(picture(2)), "score": 0.5}
        yield {"key": "d", "image": str(root / "a.png"), "score": 2, "boxes": [[0.5]]}

    found = kept(image_records(records()))
    assert [r["image"] for r in found.values()] == [picture(0), picture(1), picture(2), picture(0)]
    assert [r["boxes"] for r in found.values()] == [[], [[1.0, 2.0]], None, [[0.5]]]
    assert [r["score"] for r in found.values()] == [None, None, 0.5, 2.0]
    assert [(r["label"], r["subset"]) for r in found.values()] == [
        ("cat", None),
        (None, "val"),
        (None, None),
        (None, None),
    ]
    assert [r["who"] for r in found.values()] == [{"name": "x"}, None, None, None]


def test_tuples_by_the_public_names(picture, tmp_path, read_back):
    store = hs.open_store(tmp_path / "store")
    result = hs.ingest(store, "pets", hs.image_records([("a", picture(0)), ("b", picture(1), 7)]))
    assert [(r["key"], r["label"]) for r in read_back(store, result.version)] == [("a", None), ("b", 7)]


def test_types_widen_from_chunk_to_chunk(picture, listed):
    """64 records with bytes are a chunk."""
    values = [None] * 64 + [1] * 64 + [0.5] * 64 + [2]
    records = [{"key": str(n), "image": b"x", "n": value} for n, value in enumerate(values)]
    chunks = [chunk.annotations for chunk in image_records(records).listing().chunks]
    assert [str(chunk.schema.field("n").type) for chunk in chunks] == ["null", "int64", "double", "double"]
    assert listed(image_records(records)).annotations["n"].to_pylist() == values
    nested = [{"key": str(n), "image": b"x", "m": {"v": [] if n < 64 else [n]}} for n in range(65)]
    assert listed(image_records(nested)).annotations.schema.field("m").type == pa.struct([("v", pa.list_(pa.int64()))])


@pytest.mark.parametrize("apart", [1, 100])
def test_types_that_do_not_go_together(apart):
    records = [{"key": str(n), "image": b"x", "n": n if n < apart else "text"} for n in range(apart + 1)]
    with pytest.raises(UsageError) as caught:
        [*image_records(records).listing().chunks]
    assert str(caught.value) == (
        f"the records, record '{apart}': n is of type string, in earlier records it is int64; make them equal"
    )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"key": "a"}, "record 1 has no 'image'; it has 'key'"),
        ({"image": b"x"}, "record 1 has no 'key'"),
        ({"key": 3, "image": b"x"}, "record 1: key is a int, expected text"),
        ({"key": "a\nb", "image": b"x"}, r"record 1: key is with control characters: 'a\\nb'"),
        ({"key": "", "image": b"x"}, "record 1: key is empty"),
        ({"key": "a", "image": np.zeros((2, 2, 3), np.uint8)}, "image is a numpy.ndarray, .*encode it first: .*save"),
        ({"key": "a", "image": Image.new("RGB", (2, 2))}, "image is a PIL.Image.Image, .*encode it first"),
        ({"key": "a", "image": None}, "image is a builtins.NoneType, expected encoded bytes or a path$"),
        ({"key": "a", "image": b"x", "subset": "both"}, "subset is 'both'"),
        ({"key": "a", "image": b"x", "subset": 3}, "subset is 3"),
        ({"key": "a", "image": b"x", "label": [1]}, "label is of type list<item: int64>, expected text or a number"),
        ({"key": "a", "image": b"x", "o": object()}, "o is a object, which Arrow has no type for"),
        ({"key": "a", "image": b"x", "o": 1 << 80}, "o is 1208925819614629174706176"),
        ({"key": "a", "image": b"x", "dropped": 1}, "hapistore uses itself"),
        ({"key": "a", "image": b"x", 3: 1}, "column 3 "),
        (("a",), "record 1 is a tuple, expected"),
        ("a", "record 1 is a str, expected"),
    ],
)
def test_records_that_are_refused(record, message, store):
    with pytest.raises(UsageError, match=message) as caught:
        ingest(store, "d", image_records([record]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("records", ["text", b"bytes", {"key": "a"}])
def test_what_is_no_iterable_of_records(records):
    with pytest.raises(UsageError, match="expected an iterable"):
        image_records(records)


def test_nothing():
    with pytest.raises(UsageError, match="there are no records"):
        [*image_records([]).listing().chunks]


def test_a_generator_is_taken_once(picture):
    source = image_records(("a", picture(0)) for _ in range(1))
    source.listing()
    with pytest.raises(UsageError, match="can be taken only once"):
        source.listing()
    again = image_records([("a", picture(0))])
    again.listing()
    assert len([*again.listing().chunks]) == 1
