"""FeaturePipe in a plain loop, in DataLoaders, and among the core DataPipes."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from hapistore.errors import UsageError
from hapistore_torch import FeaturePipe

ROWS, TRAIN = 103, 82


def rows_of(batches):
    return [int(row) for features, _ in batches for row in features[:, 0]]


def test_batches_are_tensors_of_the_right_kind(view):
    features, labels = next(iter(FeaturePipe(view, batch_size=10)))
    assert features.shape == (10, 4)
    assert features.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert torch.equal(labels, features[:, 0].long() % 3)  # classes a, b, c are 0, 1, 2
    assert torch.equal(features[:, 1], -features[:, 0])


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_two_epochs_give_every_row_once_in_another_order(view, workers):
    loader = DataLoader(FeaturePipe(view, batch_size=8, seed=3), batch_size=None, num_workers=workers)
    first, second = rows_of(loader), rows_of(loader)
    assert sorted(first) == sorted(second) == list(range(ROWS))
    assert first != second
    assert first != sorted(first)


@pytest.mark.parametrize("workers", [1, 2])
def test_persistent_workers_give_every_row_once_in_another_order(view, workers):
    loader = DataLoader(FeaturePipe(view, batch_size=8), batch_size=None, num_workers=workers, persistent_workers=True)
    epochs = [rows_of(loader) for _ in range(3)]
    assert all(sorted(epoch) == list(range(ROWS)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_spawned_workers_read_too(view):
    loader = DataLoader(
        FeaturePipe(view, batch_size=16), batch_size=None, num_workers=2, multiprocessing_context="spawn"
    )
    assert sorted(rows_of(loader)) == list(range(ROWS))


def test_any_number_of_workers_sees_the_same_batches_in_the_same_order(view):
    orders = []
    for workers in (0, 1, 2):
        torch.manual_seed(11)
        orders.append(rows_of(DataLoader(FeaturePipe(view, batch_size=8), batch_size=None, num_workers=workers)))
    assert all(order == orders[0] for order in orders)


def test_plain_loop_advances_the_epoch_and_is_reproducible(view):
    pipe, twin = FeaturePipe(view, batch_size=8, seed=5), FeaturePipe(view, batch_size=8, seed=5)
    first, second = rows_of(pipe), rows_of(pipe)
    assert sorted(first) == sorted(second) == list(range(ROWS))
    assert first != second
    assert (rows_of(twin), rows_of(twin)) == (first, second)
    assert rows_of(FeaturePipe(view, batch_size=8, seed=6)) != first


def test_set_epoch_overrides_loader_and_counter(view):
    pipe = FeaturePipe(view, batch_size=8)
    plain = rows_of(pipe)  # epoch 0
    pipe.set_epoch(0)
    assert rows_of(pipe) == plain
    assert rows_of(DataLoader(pipe, batch_size=None, num_workers=2)) == plain
    pipe.set_epoch(1)
    assert rows_of(DataLoader(pipe, batch_size=None)) != plain


def test_a_plain_pass_after_a_loader_is_an_epoch_of_its_own(view):
    pipe = FeaturePipe(view, batch_size=8)
    rows_of(DataLoader(pipe, batch_size=None))
    assert rows_of(pipe) != rows_of(pipe)


def test_two_loops_at_once_do_not_mix(view):
    pipe = FeaturePipe(view, batch_size=8)
    list(pipe)
    held = list(pipe)
    copies = [features.clone() for features, _ in held]
    list(pipe)  # a later epoch must not write into batches that are still held
    assert all(torch.equal(features, copy) for (features, _), copy in zip(held, copies, strict=True))


def test_composes_with_core_datapipes(view):
    pipe = FeaturePipe(view, batch_size=8)
    assert pipe.sharding_filter() is pipe
    doubled = [int(row) for rows in pipe.sharding_filter().map(_first_column) for row in rows * 2]
    assert sorted(doubled) == [2 * row for row in range(ROWS)]
    single = FeaturePipe(view, batch_size=8).map(_rows_as_list).unbatch().shuffle()
    assert sorted(map(int, single)) == list(range(ROWS))


def _first_column(batch):
    return batch[0][:, 0]


def _rows_as_list(batch):
    return batch[0][:, 0].tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_composed_graph_in_a_loader_reads_each_row_once(view, workers):
    graph = FeaturePipe(view, batch_size=8).map(_first_column).shuffle()
    loader = DataLoader(graph, batch_size=None, num_workers=workers, shuffle=True)
    for _ in range(2):
        assert sorted(int(row) for rows in loader for row in rows) == list(range(ROWS))


def test_loader_shuffle_flag_is_heeded(view):
    ordered = DataLoader(FeaturePipe(view, batch_size=8), batch_size=None, shuffle=False)
    assert rows_of(ordered) == list(range(ROWS))
    shuffled = DataLoader(FeaturePipe(view, batch_size=8, shuffle="none"), batch_size=None, shuffle=True)
    assert rows_of(shuffled) != list(range(ROWS))


def test_loader_shuffle_flag_keeps_the_epoch_that_was_set(view):
    pipe, expected = FeaturePipe(view, batch_size=8, shuffle="none"), FeaturePipe(view, batch_size=8)
    for each in (pipe, expected):
        each.set_epoch(3)
    assert rows_of(DataLoader(pipe, batch_size=None, shuffle=True)) == rows_of(expected)


def test_subset_label_and_length(view):
    pipe = FeaturePipe(view, subset="train", batch_size=8, label="weight")
    batches = list(pipe)
    assert len(batches) == len(pipe) == -(-TRAIN // 8)
    assert all(labels.dtype == torch.float32 for _, labels in batches)
    assert all(torch.equal(labels, features[:, 0] / 4) for features, labels in batches)
    assert sorted(rows_of(batches)) == [row for row in range(ROWS) if row % 5]
    assert len(list(FeaturePipe(view, subset="train", batch_size=8, last="drop"))) == TRAIN // 8
    assert isinstance(next(iter(FeaturePipe(view, label=None))), torch.Tensor)
    assert FeaturePipe(view).classes == ("a", "b", "c")


def test_pickle_carries_no_open_shards(view):
    pipe = FeaturePipe(view, batch_size=8)
    list(pipe)
    data = pickle.dumps(pipe)
    assert b"FeatureReader" not in data
    copy = pickle.loads(data)
    assert sorted(rows_of(copy)) == list(range(ROWS))


@pytest.mark.parametrize(
    "wrong",
    [{"shuffle": "sometimes"}, {"batch_size": 0}, {"subset": "holdout"}, {"subset": "val"}, {"label": "colour"}],
)
def test_what_cannot_be_is_refused_when_the_pipe_is_made(view, wrong):
    with pytest.raises(UsageError):
        FeaturePipe(view, **wrong)
