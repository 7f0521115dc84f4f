"""A reader draws one stored variant for each epoch and row: by its seed, evenly, whoever reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from hapistore.catalog import View, open_view, register_recipe
from hapistore.catalog.names import features_name
from hapistore.errors import UsageError
from hapistore.read import FeatureReader, ReadOptions
from hapistore.read.drawing import draw_variants
from hapistore_format import Augmentation, MissingRow, write_feature_shard, write_weights
from hapistore_format.weights import RawTensor

# Of a right generator, one test in ten thousand would fail; seeds are fixed, so these pass for good.
LEAST_P = 1e-4
STEP = 1000
ALL = ReadOptions(label=None, batch_size=5)


def add_variants(view: View, count: int, missing: dict[int, Sequence[int]] | None = None) -> View:
    """Variant k of row r has the features [r + 1000 (k + 1), r + 0.5 + 1000 (k + 1)]; opened anew with all of them."""
    _, weights = write_weights({"w": RawTensor("F32", (1,), bytes(4))})
    for variant in range(count):
        augmentation = Augmentation(seed=0, variant=variant, crop_percent=None, flip=True, colour_percent=(0, 0, 0))
        recipe = replace(view.recipe, augmentation=augmentation)
        register_recipe(view.store, recipe, weights)
        start = 0
        for shard in view.version.shards:
            rows = np.arange(start, start + shard.rows)
            features = np.stack([rows, rows + 0.5], axis=1).astype(np.float32) + STEP * (variant + 1)
            gone = [MissingRow(row - start, "failed") for row in (missing or {}).get(variant, ()) if row in rows]
            data = write_feature_shard(
                features, codec=view.codec, recipe=recipe.digest, images=shard.images, provenance={}, missing=gone
            )
            view.store.create(features_name(recipe.digest, view.codec, shard.images), data)
            start += shard.rows
    return open_view(view.store, "pets", variants=count)


def drawn(reader: FeatureReader, epoch: int, **parts: int) -> dict[int, int]:
    """The variant of each row, -1 for the image as it is."""
    found: dict[int, int] = {}
    for batch in reader.epoch(epoch, **parts):
        variants = batch.features[:, 0].astype(int) // STEP - 1
        assert np.array_equal(batch.features[:, 0] - STEP * (variants + 1), batch.rows)
        found |= dict(zip(batch.rows.tolist(), variants.tolist(), strict=True))
    return found


@pytest.fixture
def view(make_view) -> View:
    return add_variants(make_view(), 4)


@pytest.mark.parametrize("codec", ["f32", "f16", "u8c+zstd"])
def test_every_row_has_the_features_of_one_variant(make_view, codec):
    view = add_variants(make_view(codec=codec), 3)
    rows = set(FeatureReader(open_view(view.store, "pets"), ALL)._selection.rows.tolist())
    for epoch in range(3):
        found = {}
        for batch in FeatureReader(view, ALL).epoch(epoch):
            variants = np.round((batch.features[:, 0] - batch.rows) / STEP).astype(int) - 1
            assert np.abs(batch.features[:, 0] - STEP * (variants + 1) - batch.rows).max() < 2
            assert np.array_equal(variants, draw_variants(batch.rows, 3, 0, epoch))
            found |= dict(zip(batch.rows.tolist(), variants.tolist(), strict=True))
        assert found.keys() == rows
        assert set(found.values()) == {0, 1, 2}


def test_epochs_and_seeds_draw_others_and_equal_ones_the_same(view):
    reader = FeatureReader(view, ALL)
    first = drawn(reader, 0)
    assert drawn(FeatureReader(open_view(view.store, "pets", variants=4), ALL), 0) == first
    assert drawn(reader, 1) != first
    assert drawn(FeatureReader(view, replace(ALL, seed=1)), 0) != first


@pytest.mark.parametrize("shuffle", ["global", "none"])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_who_reads_which_rows_changes_nothing(view, shuffle, parts):
    options = replace(ALL, shuffle=shuffle)
    whole = drawn(FeatureReader(view, options), 7)
    split: dict[int, int] = {}
    for part in range(parts):
        found = drawn(FeatureReader(view, replace(options, memory_bytes=1)), 7, worker=part, workers=parts)
        assert not split.keys() & found.keys()
        split |= found
    assert split == whole
    assert drawn(FeatureReader(view, replace(options, batch_size=3)), 7) == whole


def test_targets_follow_their_rows(view):
    for batch in FeatureReader(view, ReadOptions(label="number", batch_size=6)).epoch(2):
        assert np.array_equal(batch.targets, batch.rows + 100)


@pytest.mark.parametrize(
    ("subset", "augment", "plain"),
    [
        ("train", None, False),
        (None, None, False),
        ("val", None, True),
        ("test", None, True),
        ("val", True, False),
        ("train", False, True),
    ],
)
def test_validation_reads_the_images_as_they_are(view, subset, augment, plain):
    reader = FeatureReader(view, replace(ALL, subset=subset, augment=augment))
    assert (set(drawn(reader, 0).values()) == {-1}) == plain
    assert (-1 in drawn(reader, 0).values()) == plain


def test_one_variant_is_read_as_it_is(make_view):
    view = add_variants(make_view(), 1)
    assert set(drawn(FeatureReader(view, ALL), 0).values()) == {0}


def test_a_view_without_variants_cannot_draw(make_view):
    with pytest.raises(UsageError, match="open the view with variants="):
        FeatureReader(make_view(), replace(ALL, augment=True))


def test_rows_that_one_variant_lacks_are_in_no_epoch(make_view):
    view = add_variants(make_view(), 3, missing={1: [0, 8], 2: [8]})
    assert view.missing_rows.tolist() == [0, 8]
    for epoch in range(4):
        assert not {0, 8} & drawn(FeatureReader(view, ALL), epoch).keys()


def test_a_readers_state_names_the_variants(view):
    plain = open_view(view.store, "pets")
    assert view.identity["variants"].split(",") == [recipe.digest for recipe in view.variants]
    assert "variants" not in plain.identity
    assert "4 variants of flip" in str(view)
    assert view.identity != open_view(view.store, "pets", variants=3).identity


@pytest.mark.parametrize("variants", [2, 3, 4, 8])
def test_draws_are_uniform_and_follow_neither_row_nor_epoch(variants):
    rows = np.arange(20_000)
    draws = np.stack([draw_variants(rows, variants, 3, epoch) for epoch in range(8)])
    for epoch in draws:
        assert chisquare(np.bincount(epoch, minlength=variants)).pvalue > LEAST_P
    # Pairs: a row and the next, an epoch and the next.
    for one, other in ((draws[0, :-1:2], draws[0, 1::2]), (draws[0], draws[1])):
        assert chisquare(np.bincount(one * variants + other, minlength=variants**2)).pvalue > LEAST_P
    # A row sees all variants alike over epochs.
    of_rows = np.stack([draw_variants(rows[:3], variants, 3, epoch) for epoch in range(4000)])
    for row in of_rows.T:
        assert chisquare(np.bincount(row, minlength=variants)).pvalue > LEAST_P
    # And of seeds next to each other.
    other = draw_variants(rows, variants, 4, 0)
    assert chisquare(np.bincount(draws[0] * variants + other, minlength=variants**2)).pvalue > LEAST_P
