"""Readers of features and of images keep the contract of everything that hands out training batches."""

from __future__ import annotations

import pytest

import hapistore as hs
from hapistore.read import FeatureReader, ReadOptions
from hapistore.read.image_reader import ImageReader
from hapistore.testing.reader_contract import ReaderContract


class ReaderSource:
    """A reader, iterated as a rank of several does."""

    def __init__(self, reader, rank, ranks):
        self.reader, self.part = reader, {"rank": rank, "ranks": ranks}
        self.progress, self.fixed = reader.progress(), None
        self.state_dict, self.load_state_dict = self.progress.state_dict, self.progress.load_state_dict

    def set_epoch(self, epoch):
        self.fixed = epoch

    def epoch(self, workers=0):
        number, start, _ = self.progress.begin(self.fixed)
        if workers:
            yield from self.by_workers(number, workers)
            return
        for batch in self.reader.epoch(number, **self.part, start=start):
            self.progress.read(batch.position)
            yield batch.rows.tolist()
        self.progress.read(self.reader.rows)

    def by_workers(self, epoch, workers):
        shares = [self.reader.epoch(epoch, **self.part, worker=w, workers=workers) for w in range(workers)]
        for turn in range(self.reader.steps(self.part["ranks"]).count):
            yield next(shares[turn % workers]).rows.tolist()
        assert all(next(share, None) is None for share in shares)

    def close(self):
        self.reader.close()


class TestFeatureReader(ReaderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def wide_view(cls, make_view):
        return make_view(shards=(40, 1, 35, 27), dropped=[False] * 103)

    @pytest.fixture
    def open_source(self, wide_view):
        def open_one(rank=0, ranks=1, **options):
            return ReaderSource(FeatureReader(wide_view, ReadOptions(**options)), rank, ranks)

        return open_one

    @pytest.fixture
    def rows(self):
        return range(103)


class TestImageReader(ReaderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def image_store(cls, tmp_path_factory, photographs, write_manifest):
        folder = tmp_path_factory.mktemp("images")
        table = write_manifest(folder / "some.csv", [(path, "cell") for path in photographs[:103]])
        store = hs.open_store(folder / "store")
        hs.ingest(store, "cells", hs.manifest(table), hs.IngestOptions(shard_bytes=1_000_000))
        return store

    @pytest.fixture
    def open_source(self, image_store):
        def open_one(rank=0, ranks=1, **options):
            return ReaderSource(ImageReader(image_store, "cells", ReadOptions(**options)), rank, ranks)

        return open_one

    @pytest.fixture
    def rows(self):
        return range(103)
