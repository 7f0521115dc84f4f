"""Stored variants of real photographs: right values, shared work, nothing computed twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import hapistore as hs
from hapistore.catalog import open_image_shard
from hapistore.errors import MissingFeatures, UsageError
from hapistore.extraction import extracting, parse_augment
from hapistore.images import Change

AUGMENT = hs.AugmentOptions(variants=2, seed=5)
EAGER = hs.ExtractOptions(executor="torch", augment=AUGMENT)


class _Stop(Exception):
    pass


def all_features(store, recipe, codec="f32"):
    """In the version's order, float32 [rows, *shape]."""
    view = hs.open_view(store, "mixed", recipe=recipe.digest, codec=codec)
    batch = next(hs.FeatureReader(view, hs.ReadOptions(shuffle="none", batch_size=1 << 20)).epoch(0))
    return batch.features


def expected_features(store, version, prefix, augmentation):
    """Of one variant, image by image: cut and coloured by hand, run by hand."""
    found = []
    for shard in version.shards:
        reader = open_image_shard(store, shard)
        for row, digest in enumerate(reader.record_digests()):

            def change(width, height, digest=digest):
                return Change(*augmentation.draw(digest, width, height))

            found.append(prefix.preprocess.variants(reader.image(row), [change])[0])
    with torch.inference_mode():
        return prefix.module(torch.from_numpy(np.stack(found))).numpy()


def feature_files(store):
    return {info.name: info.modified for info in store.list("features/")}


def test_each_variant_has_the_features_of_its_own_pixels(store, resnet):
    result = hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
    assert [recipe.augmentation.variant for recipe in result.variants] == [0, 1]
    assert {recipe.plain.digest for recipe in result.variants} == {result.recipe.digest}
    assert (result.images, result.extracted) == (3 * 48, 3 * len(result.version.shards))
    for recipe in result.variants:
        expected = expected_features(store, result.version, resnet, recipe.augmentation)
        found = all_features(store, recipe)
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    whole = [all_features(store, recipe) for recipe in (result.recipe, *result.variants)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(whole[one] - whole[other]).max(axis=1).min() > 1e-3 * np.abs(whole[one]).max()


def test_the_images_as_they_are_keep_their_recipe(store, resnet):
    before = hs.extract(store, "mixed", resnet, codecs=["f32"], options=replace(EAGER, augment=None))
    names = feature_files(store)
    result = hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
    assert result.recipe.digest == before.recipe.digest
    assert result.images == 2 * 48
    assert {name: when for name, when in feature_files(store).items() if name in names} == names


def test_more_variants_later_are_only_those_that_are_missing(store, resnet):
    few = hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
    names = feature_files(store)
    more = hs.extract(
        store, "mixed", resnet, codecs=["f32"], options=replace(EAGER, augment=replace(AUGMENT, variants=4))
    )
    assert more.variants[:2] == few.variants
    assert more.images == 2 * 48
    assert names.items() <= feature_files(store).items()
    assert hs.verify_store(store).damaged == []


def test_values_depend_on_neither_threads_nor_batches_nor_what_is_computed_together(store, resnet, tmp_path):
    hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
    other = hs.open_store(tmp_path / "other")
    hs.ingest(other, "mixed", hs.manifest(tmp_path / "mixed.csv"), hs.IngestOptions(shard_bytes=1_000_000))
    options = replace(EAGER, decode_threads=1, max_batch=3, memory_bytes=2 << 30)
    for variants in (1, 2):
        result = hs.extract(
            other,
            "mixed",
            resnet,
            codecs=["f32"],
            options=replace(options, augment=replace(AUGMENT, variants=variants)),
        )
    for recipe in (result.recipe, *result.variants):
        ours, theirs = all_features(store, recipe), all_features(other, recipe)
        assert np.abs(ours - theirs).max() <= 2e-4 * np.abs(ours).max()


def test_where_memory_is_short_fewer_are_computed_together(store, resnet, monkeypatch, tmp_path):
    hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
    other = hs.open_store(tmp_path / "other")
    hs.ingest(other, "mixed", hs.manifest(tmp_path / "mixed.csv"), hs.IngestOptions(shard_bytes=400_000))
    seen = []

    def most(rows, shape, memory_bytes):
        seen.append((rows, shape, memory_bytes))
        return 1

    monkeypatch.setattr(extracting, "most_at_once", most)
    result = hs.extract(other, "mixed", resnet, codecs=["f32"], options=EAGER)
    (asked,) = seen
    assert asked[:2] == (max(shard.rows for shard in result.version.shards), (512,))
    assert 0 < asked[2] < 1 << 50  # what is free
    for recipe in (result.recipe, *result.variants):
        ours, theirs = all_features(store, recipe), all_features(other, recipe)
        assert np.abs(ours - theirs).max() <= 2e-4 * np.abs(ours).max()


@pytest.mark.parametrize(
    ("rows", "shape", "memory", "expected"),
    [
        (2000, (1280,), 1 << 40, 26),
        (2000, (1280,), 1 << 30, 6),
        (2000, (1280, 7, 7), 1 << 40, 1),
        (1, (1,), 1, 1),
    ],
)
def test_rooms_of_what_is_computed_together_are_bounded(rows, shape, memory, expected):
    assert extracting.most_at_once(rows, shape, memory) == expected


def test_a_stopped_extraction_continues_with_what_is_missing(store, resnet):
    def stop_half_way(done, total):
        assert total == 3 * 48
        if done >= total // 2:
            raise _Stop

    with pytest.raises(_Stop):
        hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER, on_progress=stop_half_way)
    done = len(feature_files(store))
    assert done > 0
    with pytest.raises(MissingFeatures, match=r"image shards of mixed@1 have no f32 features yet; finish with"):
        hs.open_view(store, "mixed", variants=2)
    seen = []
    rest = hs.extract(
        store, "mixed", resnet, codecs=["f32"], options=EAGER, on_progress=lambda done, total: seen.append(done)
    )
    assert seen[-1] == 3 * 48
    assert (rest.present, rest.extracted) == (done, 3 * len(rest.version.shards) - done)
    assert hs.verify_store(store).damaged == []
    assert len(hs.open_view(store, "mixed", variants="all").variants) == 2


def test_another_codec_is_transcoded_without_the_network(store, resnet):
    hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
    other = hs.extract(store, "mixed", resnet, codecs=["auto"], options=EAGER)
    assert (other.images, other.transcoded) == (0, 3 * len(other.version.shards))
    assert len(hs.open_view(store, "mixed", codec=other.codecs[0], variants=2).variants) == 2


def test_a_bad_image_is_bad_in_every_variant(tmp_path, photographs, imagenet, write_manifest, resnet):
    broken = tmp_path / "broken.jpg"  # its header and its end are whole
    good = photographs[:6]
    whole = imagenet[0][0].read_bytes()
    broken.write_bytes(whole[: len(whole) // 2] + b"\xff\xc4" * 100 + whole[len(whole) // 2 + 200 :])
    table = write_manifest(tmp_path / "some.csv", [(path, "cell") for path in (*good, broken)])
    store = hs.open_store(tmp_path / "bad")
    hs.ingest(store, "mixed", hs.manifest(table))
    result = hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
    assert [image.row for image in result.left_out] == [6]
    view = hs.open_view(store, "mixed", variants=2)
    assert view.missing_rows.tolist() == [6]
    assert hs.FeatureReader(view).rows == 6


class TestOpeningAView:
    def test_what_belongs_together_is_told_apart(self, store, resnet, make_resnet):
        hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
        other = hs.AugmentOptions(variants=1, crop_percent=None, colour_percent=(0, 0, 0))
        hs.extract(store, "mixed", resnet, codecs=["f32"], options=replace(EAGER, augment=other))
        with pytest.raises(
            UsageError, match=r"several kinds of variants .* crop:35-100,flip,colour:20-20-20,seed=5 \(2\)"
        ):
            hs.open_view(store, "mixed", variants=1)
        assert len(hs.open_view(store, "mixed", variants=1, augment="flip").variants) == 1
        view = hs.open_view(store, "mixed", variants="all", augment="crop:35-100,flip,colour:20-20-20,seed=5")
        assert [recipe.augmentation.variant for recipe in view.variants] == [0, 1]
        with pytest.raises(UsageError, match="no variants of 'crop'"):
            hs.open_view(store, "mixed", variants=1, augment="crop")
        # Another network's variants are no variants of this one.
        hs.extract(store, "mixed", make_resnet(1), codecs=["f32"], options=replace(EAGER, augment=None))
        lone = hs.extract(store, "mixed", make_resnet(1), codecs=["f32"], options=replace(EAGER, augment=None)).recipe
        with pytest.raises(UsageError, match="has no variants of"):
            hs.open_view(store, "mixed", recipe=lone.digest, variants=1)

    def test_more_than_are_stored_are_refused_with_what_to_do(self, store, resnet):
        hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
        command = (
            "--codec f32 --variants 3 --augment crop:35-100,flip,colour:20-20-20 --augment-seed 5`, or read 2 variants"
        )
        with pytest.raises(MissingFeatures, match="variant 2 of") as caught:
            hs.open_view(store, "mixed", variants=3)
        assert command in str(caught.value)

    def test_a_variant_that_lacks_a_shard_is_named(self, store, resnet):
        result = hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
        shard = result.version.shards[1].images
        store.delete(f"features/{result.variants[1].digest}/f32/{shard}.arrow")
        with pytest.raises(MissingFeatures, match="variant 1 of .*: 1 of the"):
            hs.open_view(store, "mixed", variants="all")
        assert len(hs.open_view(store, "mixed", variants=1).variants) == 1
        assert hs.open_view(store, "mixed").variants == ()

    @pytest.mark.parametrize("variants", [0, -1, "some", True, 1.5])
    def test_what_is_no_number_of_variants_is_refused(self, store, resnet, variants):
        hs.extract(store, "mixed", resnet, codecs=["f32"], options=EAGER)
        with pytest.raises(UsageError, match="variants is"):
            hs.open_view(store, "mixed", variants=variants)


class TestOptions:
    @pytest.mark.parametrize(
        ("text", "crop", "flip", "colour"),
        [
            ("crop,flip,colour", (35, 100), True, (20, 20, 20)),
            ("crop:8-90", (8, 90), False, (0, 0, 0)),
            ("flip", None, True, (0, 0, 0)),
            ("colour:40, crop", (35, 100), False, (40, 40, 40)),
            ("colour:40-30-0", None, False, (40, 30, 0)),
        ],
    )
    def test_text(self, text, crop, flip, colour):
        options = parse_augment(text, variants=3, seed=2)
        assert (options.crop_percent, options.flip, options.colour_percent) == (crop, flip, colour)
        assert (options.variants, options.seed) == (3, 2)
        assert parse_augment(options.number(0).name, variants=3, seed=2) == options

    @pytest.mark.parametrize(
        "text",
        ["", "blur", "crop,crop", "crop:5", "crop:90-8", "crop:a-b", "flip:1", "colour:1-2", "colour:101", "colour:0"],
    )
    def test_what_is_none_is_refused(self, text):
        with pytest.raises(UsageError, match="augmentation"):
            parse_augment(text, variants=1)

    @pytest.mark.parametrize("variants", [0, 1025])
    def test_as_many_as_there_can_be(self, variants):
        with pytest.raises(UsageError, match=f"{variants} variants"):
            hs.AugmentOptions(variants=variants)
