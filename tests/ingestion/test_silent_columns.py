"""What a source says nothing of stays as it was stored."""

from __future__ import annotations

import pytest

import hapistore as hs
from hapistore.catalog import resolve_version
from hapistore.catalog.names import annotations_name
from hapistore.errors import UsageError
from hapistore_format import AnnotationShard


@pytest.fixture
def table(tmp_path, photographs):
    def write(header: str, *values: str):
        path = tmp_path / "table.csv"
        rows = [f"{photo},{value}" if value else str(photo) for photo, value in zip(photographs, values, strict=False)]
        path.write_text("\n".join([header, *rows]))
        return hs.manifest(path)

    return write


def rows(store):
    found = []
    for shard in resolve_version(store, "cells").shards:
        name = annotations_name(shard.annotations)
        found += AnnotationShard(store.get(name), where=name).table.to_pylist()
    return [(row["label"], row["subset"]) for row in found]


@pytest.mark.parametrize("values", [("1,train", "2,test"), ("a,train", "b,test")])
def test_a_source_without_labels_erases_none(tmp_path, table, values):
    store = hs.open_store(tmp_path / "store")
    hs.ingest(store, "cells", table("path,label,subset", *values))
    before = rows(store)
    assert not hs.ingest(store, "cells", table("path", "", "")).committed
    assert rows(store) == before
    assert all(label is not None for label, _ in before)


def test_new_records_of_such_a_source_have_no_label(tmp_path, table):
    store = hs.open_store(tmp_path / "store")
    hs.ingest(store, "cells", table("path,label,subset", "1,train", "2,test"))
    hs.ingest(store, "cells", table("path", "", "", ""))
    assert rows(store) == [(1, "train"), (2, "test"), (None, None)]


def test_jsonl_text_that_looks_like_a_date_is_text(tmp_path, photographs):
    path = tmp_path / "table.jsonl"
    path.write_text("\n".join(f'{{"path": "{p}", "label": "2024-01-0{i + 1}"}}' for i, p in enumerate(photographs[:3])))
    store = hs.open_store(tmp_path / "store")
    hs.ingest(store, "cells", hs.manifest(path))
    assert [label for label, _ in rows(store)] == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_a_column_name_that_would_break_the_seal_is_refused(tmp_path, table):
    store = hs.open_store(tmp_path / "store")
    with pytest.raises(UsageError, match="rename it"):
        hs.ingest(store, "cells", table("path,hapistore-seal/1:", "x"))
    assert not (tmp_path / "store").exists()
