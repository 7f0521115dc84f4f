"""Random datasets: what goes in comes out, in order and to the byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hapistore.catalog import verify_store
from hapistore.ingestion import IngestOptions, ingest, open_source
from hapistore.stores.memory import MemoryStore

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
# A text that is a date would become a time; the letter in front keeps it a text.
LABELS = st.one_of(
    st.just(st.none()),
    st.just(TEXT.map("l{}".format)),
    st.just(st.integers(-(2**63), 2**63 - 1)),
    st.just(st.floats(allow_nan=False, allow_infinity=False)),
)
SUBSETS = st.sampled_from([None, "train", "val", "test"])
ROWS = LABELS.flatmap(
    lambda label: st.lists(
        st.fixed_dictionaries(
            {
                "key": TEXT.map("k{}".format),
                "label": st.none() | label,
                "subset": SUBSETS,
                "size": st.tuples(st.integers(1, 40), st.integers(1, 40)),
                "seed": st.integers(0, 9),
            }
        ),
        min_size=1,
        max_size=12,
        unique_by=lambda row: row["key"],
    )
)
FORMATS = ("PNG", "JPEG", "BMP")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("random")


@settings(max_examples=60, deadline=None, database=None)
@given(rows=ROWS, shard_bytes=st.integers(1, 8000), threads=st.integers(1, 3))
def test_what_goes_in_comes_out(folder, picture, read_back, rows, shard_bytes, threads):
    lines, expected = [], []
    for number, row in enumerate(rows):
        data = picture(row["seed"], FORMATS[row["seed"] % 3], row["size"])
        (folder / f"{number}.img").write_bytes(data)
        annotations = {name: row[name] for name in ("key", "label", "subset")}
        lines.append(json.dumps({"path": f"{number}.img", **annotations}, ensure_ascii=False))
        expected.append({**annotations, "width": row["size"][0], "height": row["size"][1], "image": data})
    (folder / "all.jsonl").write_text("\n".join(lines), encoding="utf-8", newline="\n")
    store = MemoryStore()
    options = IngestOptions(shard_bytes=shard_bytes, threads=threads)
    result = ingest(store, "d", open_source(folder / "all.jsonl"), options)
    assert not result.quarantined
    names = expected[0].keys()
    assert [{name: record[name] for name in names} for record in read_back(store, result.version)] == expected
    assert not verify_store(store).damaged
    assert not ingest(store, "d", open_source(folder / "all.jsonl"), options).committed
