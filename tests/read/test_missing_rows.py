"""No reader takes what stands in rows without features for features."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from hapistore.catalog import open_view, transcode
from hapistore.catalog.features import ShardFeatures
from hapistore.catalog.missing import list_left_out
from hapistore.catalog.names import features_name
from hapistore.errors import HapistoreError, UsageError
from hapistore.read import FeatureReader, ReadOptions, export_view
from hapistore_format import MissingRow

MISSING = (3, 7, 9, 10, 21)  # row 10 is dropped besides; 7 is a shard of its own
LIVE = [row for row in range(23) if row % 6 != 4]
LEFT = [row for row in LIVE if row not in MISSING]


@pytest.fixture
def lacking(make_view):
    return open_view(make_view(missing=MISSING).store, "pets")


@pytest.mark.parametrize("shuffle", ["global", "none"])
@pytest.mark.parametrize("parts", [1, 3])
def test_training_batches_leave_them_out(lacking, expected_features, shuffle, parts):
    reader = FeatureReader(lacking, ReadOptions(batch_size=4, shuffle=shuffle))
    assert reader.rows == len(LEFT)
    batches = [batch for part in range(parts) for batch in reader.epoch(1, worker=part, workers=parts)]
    assert sorted(row for batch in batches for row in batch.rows.tolist()) == LEFT
    for batch in batches:
        np.testing.assert_array_equal(batch.features, expected_features(batch.rows))


def test_exports_leave_them_out(lacking, tmp_path):
    assert export_view(lacking, tmp_path / "rows.parquet").rows == len(LEFT)
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table["key"].to_pylist() == [f"{row}.png" for row in LEFT]
    assert [row[0] for row in table["features"].to_pylist()] == LEFT


def test_transcoding_keeps_them(lacking):
    transcode(lacking.store, "pets", codecs=["u8c+zstd"])
    view = open_view(lacking.store, "pets", codec="u8c+zstd")
    assert view.missing == lacking.missing
    assert view.missing_rows.tolist() == list(MISSING)
    assert FeatureReader(view).rows == len(LEFT)


def test_they_are_told_by_key_without_the_dropped_ones(lacking):
    told = list_left_out(lacking.store, lacking.version, lacking.missing)
    assert [(image.key, image.reason) for image in told] == [
        (f"{row}.png", "undecodable") for row in MISSING if row in LIVE
    ]


def test_a_view_that_does_not_know_of_them_hands_out_nothing(make_view):
    view = make_view(missing=[9])
    with pytest.raises(HapistoreError, match="no features in row 1, .* open the view again"):
        list(FeatureReader(view).epoch(0))


def test_a_view_that_lacks_more_than_is_stored_goes_on(lacking, make_view):
    name = features_name(lacking.recipe.digest, "f32", lacking.version.shards[2].images)
    lacking.store.put(name, make_view().store.get(name))
    reader = FeatureReader(lacking)
    assert sorted(row for batch in reader.epoch(0) for row in batch.rows.tolist()) == LEFT


def test_a_version_without_any_features_says_so(make_view):
    view = open_view(make_view(missing=range(23)).store, "pets")
    with pytest.raises(UsageError, match="no image of pets@1 in subset None has features"):
        FeatureReader(view)


def test_a_garbled_beginning_is_read_again(lacking):
    name = features_name(lacking.recipe.digest, "f32", lacking.version.shards[2].images)
    data = bytearray(lacking.store.get(name))
    data[data.index(b"undecodable")] = 7
    lacking.store.put(name, bytes(data))
    with pytest.raises(HapistoreError, match="bad-block"):
        open_view(lacking.store, "pets")


def test_a_choice_of_codec_is_not_measured_on_them():
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    rows = (MissingRow(1, "failed"), MissingRow(4, "failed"))
    assert ShardFeatures(values, rows).present.tolist() == values[[0, 2, 3, 5]].tolist()
    assert ShardFeatures(values).present is values
