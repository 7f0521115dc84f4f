"""The reader of BASELINE and of the script: every image once, in order, and a failure is told."""

from __future__ import annotations

import numpy as np
import pytest

import hapistore as hs
from benchmarks.paper.loading import Images, name_of

LABELS = tuple(number % 3 for number in range(11))


@pytest.fixture
def bucket(tmp_path):
    store = hs.open_store(tmp_path / "loose")
    for number in range(len(LABELS)):
        store.put(name_of(number), bytes([number]))
    return tmp_path / "loose"


def preprocess(data) -> np.ndarray:
    return np.full((2, 2, 3), bytes(data)[0], np.uint8)


def test_batches_come_in_order(bucket):
    order = [4, 0, 10, 7, 3]
    batches = list(Images(url=str(bucket), labels=LABELS).batches(preprocess, 2, order))
    assert [len(labels) for _, labels in batches] == [2, 2, 1]
    assert np.concatenate([pixels[:, 0, 0, 0] for pixels, _ in batches]).tolist() == order
    assert np.concatenate([labels for _, labels in batches]).tolist() == [LABELS[number] for number in order]


def test_one_of_so_many(bucket):
    images = Images(url=str(bucket), labels=LABELS, few=3)
    assert list(images.numbers) == [0, 3, 7]


def test_a_missing_image_is_told(bucket):
    hs.open_store(bucket).delete(name_of(3))
    with pytest.raises(hs.HapistoreError, match="000003"):
        list(Images(url=str(bucket), labels=LABELS).batches(preprocess, 2, range(11)))


def test_it_reads_one_batch_ahead_and_no_more(bucket):
    decoded = []

    def noting(data) -> np.ndarray:
        decoded.append(bytes(data)[0])
        return preprocess(data)

    batches = Images(url=str(bucket), labels=LABELS).batches(noting, 1, range(11))
    next(batches)
    batches.close()
    assert set(decoded) <= {0, 1}
