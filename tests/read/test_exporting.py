"""An export is the view's rows, readable without hapistore."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from hapistore.errors import UsageError
from hapistore.read import FeatureReader, ReadOptions, export_view


def expected(view, subset=None):
    batches = list(FeatureReader(view, ReadOptions(shuffle="none", label=None, subset=subset, batch_size=7)).epoch(0))
    return np.concatenate([batch.features for batch in batches])


@pytest.mark.parametrize("subset", [None, "train", "test"])
@pytest.mark.parametrize("codec", ["f32", "u8c+zstd"])
def test_parquet_holds_every_row_and_column(make_view, tmp_path, codec, subset):
    view = make_view(codec=codec)
    result = export_view(view, tmp_path / "rows.parquet", subset=subset)
    table = pq.read_table(tmp_path / "rows.parquet")
    features = np.stack(table["features"].to_numpy())
    assert np.array_equal(features.reshape(-1, *view.shape), expected(view, subset))
    assert result.rows == table.num_rows == len(features)
    assert {"key", "label", "subset"} <= set(table.column_names)
    assert "dropped" not in table.column_names
    assert len(set(table["key"].to_pylist())) == table.num_rows
    if subset:
        assert set(table["subset"].to_pylist()) == {subset}
    assert table.schema.metadata[b"dataset"].decode() == view.version.label


def test_npy_is_one_array_with_its_annotations_beside(make_view, tmp_path):
    view = make_view()
    result = export_view(view, tmp_path / "rows.npy")
    array = np.load(tmp_path / "rows.npy")
    assert np.array_equal(array, expected(view))
    assert pq.read_table(tmp_path / "rows.annotations.parquet").num_rows == len(array) == result.rows
    assert sorted(path.name for path in tmp_path.glob("rows*")) == ["rows.annotations.parquet", "rows.npy"]


def test_nothing_is_overwritten_and_nothing_half_written_stays(make_view, tmp_path):
    view = make_view()
    target = tmp_path / "out" / "rows.parquet"
    with pytest.raises(UsageError, match="no folder"):
        export_view(view, target)
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(UsageError, match="there already"):
        export_view(view, target)
    assert target.read_bytes() == b"mine"
    with pytest.raises(UsageError, match="expected .parquet or .npy"):
        export_view(view, target.with_suffix(".csv"))

    def fail(done, total):
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        export_view(view, target.with_name("other.parquet"), on_progress=fail)
    assert [path.name for path in target.parent.iterdir()] == ["rows.parquet"]
