"""Which rows come, and what comes along: where, columns, balanced and weighted draws, take, pad."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hapistore.errors import UsageError
from hapistore.read import FeatureReader, ReadOptions

LIVE = [row for row in range(23) if row % 6 != 4]


def reader(view, **options) -> FeatureReader:
    return FeatureReader(view, ReadOptions(**options))


def rows_of(source, epoch=0) -> list[int]:
    return [row for batch in source.epoch(epoch) for row in batch.rows.tolist()]


class TestWhere:
    def test_only_rows_for_which_it_is_true(self, view):
        found = rows_of(reader(view, where=pc.field("number") >= 110, batch_size=4))
        assert sorted(found) == [row for row in LIVE if row >= 10]
        both = reader(view, where=(pc.field("label") == "cat") & (pc.field("weight") < 4), subset="train")
        assert sorted(rows_of(both)) == [row for row in LIVE if row % 3 == 1 and row < 16 and row % 5 in (0, 1)]

    def test_a_row_of_which_it_is_null_is_left_out(self, make_view):
        view = make_view(score=pa.array([None if row % 2 else row for row in range(23)], pa.int64()))
        assert sorted(rows_of(reader(view, where=pc.field("score") > 5))) == [r for r in LIVE if r % 2 == 0 and r > 5]

    def test_labels_are_asked_of_the_selected_rows_only(self, make_view):
        view = make_view(label=[None if row < 10 else "cat" for row in range(23)])
        assert len(rows_of(reader(view, where=pc.field("number") >= 110))) == len([r for r in LIVE if r >= 10])

    @pytest.mark.parametrize(
        ("where", "message"),
        [
            (pc.field("colour") == "red", "does not fit pets@1, which has key, .*number"),
            (pc.field("label") > 3, "does not fit"),
            (pc.field("number") > 1000, "no row of pets@1 in subset None is one where"),
        ],
    )
    def test_what_cannot_be(self, view, where, message):
        with pytest.raises(UsageError, match=message):
            reader(view, where=where)


class TestColumns:
    def test_they_come_along(self, view):
        for batch in reader(view, columns=("key", "weight", "number"), batch_size=5).epoch(0):
            assert list(batch.columns) == ["key", "weight", "number"]
            assert batch.columns["key"].tolist() == [f"{row}.png" for row in batch.rows]
            assert np.array_equal(batch.columns["weight"], batch.rows / 4)
            assert batch.columns["number"].tolist() == (batch.rows + 100).tolist()

    def test_lists_and_absent_values(self, make_view):
        boxes = pa.array([[row] * (row % 3) if row % 4 else None for row in range(23)], pa.list_(pa.int32()))
        for batch in reader(make_view(boxes=boxes), columns=("boxes",), batch_size=5).epoch(0):
            for row, box in zip(batch.rows, batch.columns["boxes"], strict=True):
                assert (box is None) if row % 4 == 0 else (box.tolist() == [row] * (row % 3))

    def test_one_that_is_not_there(self, view):
        with pytest.raises(UsageError, match="no column 'colour'; it has"):
            reader(view, columns=("colour",))


class TestDraws:
    def test_balanced(self, make_view):
        view = make_view(label=["rare" if row in (3, 9) else "usual" for row in range(23)])
        source = reader(view, balanced=True, take=40, batch_size=10)
        for batch in source.epoch(0):
            assert np.bincount(batch.targets).tolist() == [5, 5]
        assert source.rows == 40
        assert {row for row in rows_of(source) if row in (3, 9)} == {3, 9}

    def test_weights(self, make_view):
        weights = [0.0] * 23
        weights[1], weights[2] = 1.0, 3.0
        found = np.bincount(rows_of(reader(make_view(weight=weights), weights="weight", take=4000)), minlength=23)
        assert found[[1, 2]].sum() == 4000
        assert abs(found[2] / found[1] - 3) < 0.5

    def test_as_many_as_are_selected_unless_told(self, view):
        assert len(rows_of(reader(view, balanced=True))) == len(rows_of(reader(view, weights="number"))) == 19

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"balanced": True, "label": None}, "give a label, and no weights"),
            ({"balanced": True, "weights": "number"}, "give a label, and no weights"),
            ({"balanced": True, "label": "weight"}, "'weight' has real numbers"),
            ({"balanced": True, "shuffle": "none"}, "no other order than global"),
            ({"weights": "key"}, "column 'key' has type string"),
            ({"weights": "colour"}, "no column 'colour'"),
        ],
    )
    def test_what_cannot_be(self, view, options, message):
        with pytest.raises(UsageError, match=message):
            reader(view, **options)

    @pytest.mark.parametrize("weights", [[-1.0] + [1.0] * 22, [None] + [1.0] * 22, [0.0] * 23, [float("inf")] * 23])
    def test_weights_that_are_none(self, make_view, weights):
        with pytest.raises(UsageError, match="absent or below 0, or none above 0"):
            reader(make_view(score=pa.array(weights, pa.float64())), weights="score")


class TestTake:
    @pytest.mark.parametrize("shuffle", ["global", "window", "shard", "none"])
    def test_the_first_of_the_epoch(self, view, shuffle):
        whole = rows_of(reader(view, shuffle=shuffle), 3)
        assert rows_of(reader(view, shuffle=shuffle, take=7), 3) == whole[:7]

    def test_more_than_there_are(self, view):
        with pytest.raises(UsageError, match="take is 20, and 19 rows of pets@1 are selected"):
            reader(view, take=20)


def test_padding_repeats_the_first_rows(view):
    batches = list(reader(view, last="pad", batch_size=8).epoch(2))
    assert [batch.padding for batch in batches] == [0, 0, 5]
    assert batches[2].rows[3:].tolist() == batches[0].rows[:5].tolist()
    many = list(reader(view, last="pad", batch_size=50).epoch(2))
    assert many[0].padding == 31
    assert many[0].rows.tolist()[19:38] == many[0].rows.tolist()[:19]


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"global_batch_size": 0}, {"take": 0}, {"threads": 0}, {"window_shards": 0}, {"last": "x"}],
)
def test_options_that_cannot_be(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ReadOptions(**wrong)
