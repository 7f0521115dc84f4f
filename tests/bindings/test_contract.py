"""Pipes, datasets and nodes keep the contract of everything that hands out training batches."""

from __future__ import annotations

import pytest
from torch.utils.data import DataLoader

from hapistore.testing.reader_contract import ReaderContract
from hapistore_torch import FeatureIterable, FeatureNode, FeaturePipe


class TorchSource:
    """A dataset of torch's as one rank has it, whose rank is in the environment while it works."""

    def __init__(self, dataset, monkeypatch, rank, ranks):
        self.dataset, self.monkeypatch, self.environment = dataset, monkeypatch, {"RANK": rank, "WORLD_SIZE": ranks}

    def as_rank(self):
        for name, value in self.environment.items():
            self.monkeypatch.setenv(name, str(value))

    def epoch(self, workers=0):
        self.as_rank()
        loader = DataLoader(self.dataset, batch_size=None, num_workers=workers) if workers else self.batches()
        iterator = iter(loader)
        while True:
            self.as_rank()
            batch = next(iterator, None)
            if batch is None:
                return
            yield [int(row) for row in batch[0][:, 0]]

    def batches(self):
        return self.dataset

    def set_epoch(self, epoch):
        self.dataset.set_epoch(epoch)

    def state_dict(self):
        return self.dataset.state_dict()

    def load_state_dict(self, state):
        self.dataset.load_state_dict(state)

    def close(self):
        self.dataset.close()


class NodeSource(TorchSource):
    """A node begins an epoch when it is reset."""

    def batches(self):
        self.dataset.reset()
        return self.dataset

    def load_state_dict(self, state):
        self.dataset.reset(state)

    def epoch(self, workers=0):
        assert not workers
        yield from super().epoch()


class _Torch(ReaderContract):
    kind, source = FeaturePipe, TorchSource

    @pytest.fixture
    def open_source(self, view, monkeypatch):
        def open_one(rank=0, ranks=1, **options):
            return self.source(self.kind(view, **options), monkeypatch, rank, ranks)

        return open_one

    @pytest.fixture
    def rows(self):
        return range(103)


class TestFeaturePipe(_Torch):
    pass


class TestFeatureIterable(_Torch):
    kind = FeatureIterable


class TestFeatureNode(_Torch):
    most_workers = 0
    kind, source = FeatureNode, NodeSource
