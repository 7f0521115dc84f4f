"""FeatureMapPipe: features by number."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, Subset

from hapistore.errors import UsageError
from hapistore_torch import FeatureMapPipe

ROWS = 103


def test_samples_are_those_of_the_selected_rows(view):
    pipe = FeatureMapPipe(view, subset="train")
    assert len(pipe) == 82
    train = [row for row in range(ROWS) if row % 5]
    for index in (0, 1, 40, 81, -1):
        features, label = pipe[index]
        assert features.shape == (4,)
        assert int(features[0]) == train[index]
        assert int(label) == train[index] % 3


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_with_a_sampler(view, workers):
    pipe = FeatureMapPipe(view, columns=("key",))
    loader = DataLoader(pipe, batch_size=16, sampler=RandomSampler(pipe), num_workers=workers)
    batches = list(loader)
    assert [len(features) for features, _, _ in batches] == [16] * 6 + [7]
    assert sorted(int(row) for features, _, _ in batches for row in features[:, 0]) == list(range(ROWS))
    for features, labels, columns in batches:
        assert torch.equal(labels, features[:, 0].long() % 3)
        assert columns["key"] == [f"{int(row):03}.png" for row in features[:, 0]]


def test_samples_keep_their_values(view):
    pipe = FeatureMapPipe(view)
    held = [pipe[index] for index in range(ROWS)]
    assert [int(features[0]) for features, _ in held] == list(range(ROWS))


def test_it_composes(view):
    pipe = FeatureMapPipe(view, label=None)
    assert [int(row) for row in pipe.map(_first)][:3] == [0, 1, 2]
    assert len(list(pipe.shuffle())) == ROWS
    assert len(Subset(pipe, [1, 2])) == 2


def _first(features):
    return features[0]


def test_pickling_carries_no_open_shards(view):
    pipe = FeatureMapPipe(view)
    pipe[0]
    data = pickle.dumps(pipe)
    assert b"FeatureReader" not in data.replace(b"_open_feature_reader", b"")
    assert int(pickle.loads(data)[5][0][0]) == 5


@pytest.mark.parametrize("index", [ROWS, -ROWS - 1, 1 << 40])
def test_an_index_beyond(view, index):
    with pytest.raises(IndexError, match="of 103 rows"):
        FeatureMapPipe(view)[index]


@pytest.mark.parametrize("option", ["batch_size", "shuffle", "balanced", "take", "last"])
def test_options_of_an_order_are_refused(view, option):
    with pytest.raises(UsageError, match=f"{option} is about the order of rows"):
        FeatureMapPipe(view, **{option: 1})
