"""Recipes are found by what people call them; a view opens where exactly one thing fits and all of it is there."""

from __future__ import annotations

import pickle

import pytest

from hapistore.catalog import dataset_features, find_recipe, load_recipe, open_view, resolve_version
from hapistore.catalog.names import recipe_name
from hapistore.errors import MissingFeatures, NotFound, UsageError
from hapistore_format import DamagedError, FormatError


class TestFindRecipe:
    def test_by_architecture_by_cut_and_by_digest(self, store, make):
        recipe = make.recipe(store, "tiny_net", "layer4")
        make.recipe(store, "other_net", "layer4")
        for text in ("tiny_net", "tiny_net:layer4", recipe.digest, recipe.digest[:8]):
            assert find_recipe(store, text) == recipe

    def test_several_are_listed(self, store, make):
        recipes = [make.recipe(store, "tiny_net", cut) for cut in ("layer3", "layer4")]
        make.recipe(store, "other_net", "end")
        with pytest.raises(UsageError, match="names several recipes") as caught:
            find_recipe(store, "tiny_net")
        for recipe in recipes:
            assert f"{recipe.digest[:12]} (tiny_net:{recipe.cut})" in str(caught.value)
        assert "other_net" not in str(caught.value)
        assert find_recipe(store, "tiny_net:layer3") == recipes[0]

    def test_precisions_are_told_apart(self, store, make):
        f32, bf16 = (make.recipe(store, "tiny_net", "end", precision) for precision in ("f32", "bf16"))
        assert f32.digest != bf16.digest
        for text in ("tiny_net", "tiny_net:end"):
            with pytest.raises(UsageError, match="names several recipes") as caught:
                find_recipe(store, text)
            for recipe in (f32, bf16):
                assert f"{recipe.digest[:12]} (tiny_net:end:{recipe.precision})" in str(caught.value)
        assert find_recipe(store, "tiny_net:end:f32") == f32
        assert find_recipe(store, "tiny_net:end:bf16") == bf16

    def test_one_precision_is_named_only_where_it_is_not_the_usual(self, store, make):
        bf16 = make.recipe(store, "tiny_net", "end", "bf16")
        for text in ("tiny_net", "tiny_net:end", "tiny_net:end:bf16"):
            assert find_recipe(store, text) == bf16
        with pytest.raises(UsageError, match=r"names no recipe; there is: \w{12} \(tiny_net:end:bf16\)"):
            find_recipe(store, "tiny_net:end:f32")

    def test_none_lists_what_there_is(self, store, make):
        with pytest.raises(UsageError, match="names no recipe; there is: none"):
            find_recipe(store, "tiny_net")
        make.recipe(store, "tiny_net", "end")
        with pytest.raises(UsageError, match=r"'tiny' names no recipe; there is: .*tiny_net:end"):
            find_recipe(store, "tiny")

    def test_registering_again_changes_nothing(self, store, make):
        make.recipe(store)
        before = {info.name: bytes(store.get(info.name)) for info in store.list()}
        make.recipe(store)
        assert {info.name: bytes(store.get(info.name)) for info in store.list()} == before
        assert len(before) == 2

    def test_a_recipe_under_another_name_is_found_out(self, store, make):
        recipe = make.recipe(store)
        store.create(recipe_name("ab" * 32), store.get(recipe_name(recipe.digest)))
        with pytest.raises(DamagedError, match="recipes/abab"):
            load_recipe(store, "ab" * 32)
        with pytest.raises(NotFound):
            load_recipe(store, "cd" * 32)


class TestOpenView:
    def test_the_only_one_needs_no_name(self, copied, make):
        for name in [i.name for i in copied.list("features/") if "/f32/" not in i.name]:
            copied.delete(name)
        view = open_view(copied, "pets")
        assert (view.version.label, view.codec, view.shape) == ("pets@1", "f32", (4, 2, 2))
        assert view.identity == {"dataset": "pets@1", "recipe": view.recipe.digest, "codec": "f32"}
        assert str(view) == "pets@1 · tiny_net:end · f32"
        assert [copied.head(name).bytes > 0 for name in view.feature_names()] == [True] * len(view.version.shards)

    def test_several_are_listed(self, filled):
        with pytest.raises(UsageError, match="several kinds.*say recipe= and codec=") as caught:
            open_view(filled, "pets")
        for codec in ("f32", r"f16+zstd", "u8c+zstd"):
            assert f"in {codec}" in str(caught.value)
        assert open_view(filled, "pets", codec="u8c+zstd").codec == "u8c+zstd"
        assert open_view(filled, "pets@1", codec="f32", recipe="tiny_net:end").codec == "f32"

    def test_precisions_are_told_apart(self, copied, make):
        other = make.recipe(copied, precision="bf16")
        version = resolve_version(copied, "pets")
        make.features(copied, version, other, "f32", shards=1)
        with pytest.raises(UsageError, match=r"several kinds: .*tiny_net:end:(f32|bf16) ") as caught:
            open_view(copied, "pets", codec="f32")
        assert "tiny_net:end:f32 (" in str(caught.value) and "tiny_net:end:bf16 (" in str(caught.value)
        with pytest.raises(MissingFeatures, match="--cut end --precision bf16 --codec f32"):
            open_view(copied, "pets", codec="f32", recipe="tiny_net:end:bf16")
        for name in [i.name for i in copied.list(f"features/{other.digest}/")]:
            copied.delete(name)
        make.features(copied, version, other, "f32")
        view = open_view(copied, "pets", codec="f32", recipe="tiny_net:end:bf16")
        assert view.recipe == other and str(view) == "pets@1 · tiny_net:end:bf16 · f32"
        plain = open_view(copied, "pets", codec="f32", recipe="tiny_net:end:f32")
        assert str(plain) == "pets@1 · tiny_net:end · f32"
        assert plain.identity != view.identity

    def test_recipes_are_told_apart(self, copied, make):
        other = make.recipe(copied, "other_net")
        make.features(copied, resolve_version(copied, "pets"), other, "f32")
        with pytest.raises(UsageError, match="several kinds"):
            open_view(copied, "pets", codec="f32")
        assert open_view(copied, "pets", codec="f32", recipe="other_net").recipe == other
        assert open_view(copied, "pets", recipe=other.digest[:10]).recipe == other

    def test_what_is_not_there_says_how_to_make_it(self, filled, make, copied):
        with pytest.raises(UsageError, match=r"pets@1 has no features of f16; make them with `hapistore extract pets"):
            open_view(filled, "pets", codec="f16")
        make.recipe(copied, "other_net")
        with pytest.raises(UsageError, match="has no features of other_net"):
            open_view(copied, "pets", recipe="other_net")

    def test_what_is_half_extracted_says_how_to_finish(self, copied):
        names = [i.name for i in copied.list("features/") if "/f32/" in i.name]
        assert len(names) > 1
        copied.delete(names[0])
        with pytest.raises(
            MissingFeatures, match=rf"1 of the {len(names)} image shards of pets@1 have no f32"
        ) as caught:
            open_view(copied, "pets", codec="f32")
        assert "hapistore extract pets@1 --backbone tiny_net --cut end --codec f32" in str(caught.value)
        assert open_view(copied, "pets", codec="u8c+zstd")

    def test_an_unknown_codec_dataset_or_store(self, filled, store):
        with pytest.raises(FormatError, match="did you mean u8c"):
            open_view(filled, "pets", codec="u8d+zstd")
        with pytest.raises(UsageError, match="did you mean pets"):
            open_view(filled, "pet")
        with pytest.raises(UsageError, match="names no recipe"):
            open_view(filled, "pets", recipe="resnet")
        with pytest.raises(UsageError, match="no hapistore store"):
            open_view(store, "pets")

    def test_a_view_pickles_resolved(self, filled):
        view = open_view(filled, "pets", codec="f32")
        copy = pickle.loads(pickle.dumps(view))
        assert copy.identity == view.identity
        assert copy.feature_names() == view.feature_names()
        assert bytes(copy.store.get(copy.feature_names()[0])) == bytes(filled.get(view.feature_names()[0]))


def test_features_are_counted(filled):
    version = resolve_version(filled, "pets")
    summaries = dataset_features(filled, version)
    assert [s.codec for s in summaries] == ["f16+zstd", "f32", "u8c+zstd"]
    for summary in summaries:
        assert summary.complete
        assert summary.shards == len(version.shards)
        assert summary.rows == version.rows == 12
        stored = [i.bytes for i in filled.list("features/") if f"/{summary.codec}/" in i.name]
        assert summary.bytes == sum(stored)
        assert summary.bytes_per_row == summary.bytes / 12
