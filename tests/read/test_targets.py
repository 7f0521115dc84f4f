"""What training predicts: classes, integers and real numbers, over all subsets alike, and never half of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from hapistore.errors import UsageError
from hapistore.read import FeatureReader, ReadOptions, Targets


def targets(view, **options) -> Targets:
    return Targets(view.store, view.version, **options)


def test_classes_are_numbered_in_order_of_name(view):
    found = targets(view)
    assert found.classes == ("ant", "cat", "dog")
    assert found.values.dtype == np.int64
    assert found.values[:3].tolist() == [2, 1, 0]


def test_train_and_test_number_the_classes_alike(make_view):
    view = make_view(
        label=["zebra" if row % 5 == 3 else "ant" for row in range(23)], dropped=[False] * 23
    )  # zebras are in test only
    train, test = (targets(view, subset=subset) for subset in ("train", "test"))
    assert train.classes == test.classes == ("ant", "zebra")
    assert set(train.values[train.rows].tolist()) == {0}
    assert set(test.values[test.rows].tolist()) == {1}


def test_a_class_of_dropped_rows_only_is_none(make_view):
    view = make_view(label=["gone" if row % 6 == 4 else "here" for row in range(23)])
    assert targets(view).classes == ("here",)


@pytest.mark.parametrize(
    ("column", "dtype", "values"),
    [
        (pa.array(range(23), pa.int8()), np.int64, list(range(23))),
        (pa.array([-(1 << 40)] * 23, pa.int64()), np.int64, [-(1 << 40)] * 23),
        (pa.array(range(23), pa.uint16()), np.int64, list(range(23))),
        (pa.array([True, False, True] * 8)[:23], np.int64, [1, 0, 1] * 7 + [1, 0]),
        (pa.array([0.5] * 23, pa.float64()), np.float32, [0.5] * 23),
        (pa.array([0.25] * 23, pa.float32()), np.float32, [0.25] * 23),
    ],
)
def test_numbers_are_themselves(make_view, column, dtype, values):
    found = targets(make_view(score=column), column="score")
    assert found.values.dtype == dtype
    assert found.values.tolist() == values
    assert found.classes == ()


def test_any_column_can_be_the_target(view):
    assert targets(view, column="key").classes[:2] == ("0.png", "1.png")
    assert targets(view, column="subset", subset="train").classes == ("test", "train", "val")
    assert targets(view, column="dropped").values[:5].tolist() == [0, 0, 0, 0, 1]


def test_no_column(view):
    assert targets(view, column=None).values is None


def test_a_missing_label_names_a_key_and_a_way_out(make_view):
    labels = ["cat"] * 23
    labels[7] = labels[9] = labels[10] = None  # row 10 is dropped
    view = make_view(label=labels)
    message = r"2 of the 19 selected rows of pets@1 have no label \(the first is '7.png'\).*label=None"
    with pytest.raises(UsageError, match=message):
        FeatureReader(view)
    assert FeatureReader(view, ReadOptions(label=None)).rows == 19
    assert FeatureReader(view, ReadOptions(subset="train")).rows < 19  # rows 7 and 9 are not in it


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.float64(), pa.null()])
def test_no_label_at_all(make_view, kind):
    view = make_view(label=pa.array([None] * 23, kind))
    with pytest.raises(UsageError, match="19 of the 19 selected rows .* have no label"):
        targets(view)
    assert len(targets(view, column=None).rows) == 19


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.float64()])
def test_rows_without_a_label_may_be_dropped(make_view, kind):
    values = pa.array([None if row % 6 == 4 else row for row in range(23)], pa.int64()).cast(kind)
    found = targets(make_view(label=values))
    assert np.isfinite(found.values[found.rows]).all()
    assert (found.values[found.rows] >= 0).all()


def test_a_column_that_is_not_there_lists_those_that_are(view):
    with pytest.raises(UsageError, match=r"no column 'labels'; it has key, label, subset, dropped, number, weight"):
        targets(view, column="labels")


def test_a_column_that_is_no_target(make_view):
    view = make_view(tags=pa.array([["a"]] * 23, pa.list_(pa.string())))
    with pytest.raises(UsageError, match="'tags' has type list"):
        targets(view, column="tags")


def test_an_unknown_subset_and_an_empty_one(view, make_view):
    with pytest.raises(UsageError, match="'training', expected train, val, test"):
        targets(view, subset="training")
    nothing = make_view(subset=pa.array(["train"] * 20 + [None] * 3, pa.string()))
    with pytest.raises(UsageError, match=r"no rows in subset val; it has 17 in train, 2 in no subset"):
        targets(nothing, subset="val")


def test_all_dropped(make_view):
    with pytest.raises(UsageError, match="no rows at all"):
        targets(make_view(dropped=[True] * 23))


def test_rows_count_over_all_shards(view):
    assert targets(view).rows.tolist() == [row for row in range(23) if row % 6 != 4]
    assert targets(view).rows.dtype == np.int64
