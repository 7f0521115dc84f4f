"""FeaturePipe over stored variants: the same draws with any number of loader workers."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from hapistore.errors import UsageError
from hapistore_torch import FeaturePipe


def drawn(batches) -> dict[int, int]:
    """Row → what feature 3 says: 1 of the image as it is, 2 and more of variants."""
    return {int(row[0]): int(row[3]) for features, _ in batches for row in features}


def test_epochs_draw_anew_and_workers_draw_alike(view_of_variants):
    epochs = []
    for workers in (0, 1, 2):
        pipe = FeaturePipe(view_of_variants, batch_size=8, seed=3)
        loader = DataLoader(pipe, batch_size=None, num_workers=workers)
        epochs.append([])
        for seed in (5, 6):
            torch.manual_seed(seed)
            epochs[-1].append(drawn(loader))
    assert epochs[0] == epochs[1] == epochs[2]
    first, second = epochs[0]
    assert first.keys() == second.keys() and len(first) == 103
    assert first != second
    assert set(first.values()) == {2, 3, 4}


def test_an_epoch_that_is_set_is_drawn_the_same_again(view_of_variants):
    pipe = FeaturePipe(view_of_variants, batch_size=8)
    pipe.set_epoch(4)
    assert drawn(pipe) == drawn(pipe)


@pytest.mark.parametrize(
    ("subset", "augment", "plain"), [("test", None, True), ("train", None, False), ("train", False, True)]
)
def test_validation_reads_the_images_as_they_are(view_of_variants, subset, augment, plain):
    pipe = FeaturePipe(view_of_variants, batch_size=8, subset=subset, augment=augment)
    assert (set(drawn(pipe).values()) == {1}) == plain


def test_a_view_without_variants_cannot_draw(view):
    with pytest.raises(UsageError, match="variants="):
        FeaturePipe(view, augment=True)
