"""torchdata's StatefulDataLoader asks FeatureIterable for its state, and goes on exactly, with workers and without."""

from __future__ import annotations

import itertools
import logging

import pytest
from torchdata.stateful_dataloader import StatefulDataLoader

from hapistore.testing.reader_contract import flat
from hapistore_torch import FeatureIterable

ROWS = 103


def loader_of(view, workers, **options):
    dataset = FeatureIterable(view, batch_size=8, **options)
    return dataset, StatefulDataLoader(dataset, batch_size=None, num_workers=workers)


def rows_of(batches):
    return [[int(row) for row in features[:, 0]] for features, _ in batches]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("taken", [1, 4, 12, 13])
def test_it_goes_on_exactly(view, workers, taken, caplog):
    dataset, loader = loader_of(view, workers)
    dataset.set_epoch(2)
    batches = iter(loader)
    first = rows_of(itertools.islice(batches, taken))
    state = loader.state_dict()
    rest = rows_of(batches)
    assert sorted(flat(first + rest)) == list(range(ROWS))
    other, again = loader_of(view, workers)
    other.set_epoch(2)
    with caplog.at_level(logging.WARNING):
        again.load_state_dict(state)
        assert rows_of(again) == rest
    assert "fast-forward" not in caplog.text


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_epochs_that_are_set_differ(view, workers, persistent):
    dataset = FeatureIterable(view, batch_size=8)
    loader = StatefulDataLoader(dataset, batch_size=None, num_workers=workers, persistent_workers=persistent)
    epochs = []
    for epoch in range(3):
        dataset.set_epoch(epoch)
        epochs.append(flat(rows_of(loader)))
    assert all(sorted(epoch) == list(range(ROWS)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("workers", [0, 2])
def test_other_ranks_go_on_from_the_number_of_batches(view, workers, monkeypatch):
    """A loader's own state is of its workers; the number of batches read says it for any number of ranks."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    seen = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        dataset, loader = loader_of(view, workers)
        dataset.set_epoch(1)
        seen += flat(rows_of(itertools.islice(loader, 3)))
    state = dataset.state_after(3, epoch=1)
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        dataset, _ = loader_of(view, 0)
        dataset.load_state_dict(state)
        seen += flat(rows_of(dataset))
    assert sorted(seen) == list(range(ROWS))


def test_single_samples(view):
    dataset = FeatureIterable(view, batch_size=8, batched=False)
    loader = StatefulDataLoader(dataset, batch_size=10, num_workers=0)
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [10] * 10 + [3]
    assert sorted(int(row) for features, _ in batches for row in features[:, 0]) == list(range(ROWS))
