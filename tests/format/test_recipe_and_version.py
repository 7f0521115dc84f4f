"""Recipes and dataset versions: round trips, what a digest depends on, and what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from hapistore_format import (
    Augmentation,
    DamagedError,
    DatasetVersion,
    FormatError,
    Recipe,
    ShardRef,
    write_sealed_json,
)

# If this changes, so do the names of all features ever stored: a new format version, not a new constant.
GOLDEN_RECIPE = "290607784bb9976f8660067d6dfc530e42a218f359823c4134c9b9fcf4a7807a"
GOLDEN_TEXT = (
    '{"architecture":"tiny_net","cut":"layer4","precision":"f32",'
    '"preprocess":{"crop_px":[224,224],"mean_levels":[1.5,2.0,3.25],"resize_px":256},'
    '"program":null,"shape":[4,3,2],"weights":"' + "ab" * 32 + '"}'
)


def resealed(data: bytes, **changes) -> bytes:
    """The file with members replaced, rightly sealed; ``a__b`` is a member of member ``a``."""
    value = json.loads(data)
    del value["sha256"]
    for path, new in changes.items():
        *outer, last = path.split("__")
        inner = value
        for key in outer:
            inner = inner[int(key) if isinstance(inner, list) else key]
        if new is ...:
            del inner[last]
        else:
            inner[last] = new
    return write_sealed_json(value)


VARIANT = Augmentation(seed=0, variant=0, crop_percent=(35, 100), flip=True, colour_percent=(20, 20, 20))


class TestRecipe:
    def test_round_trip(self, make):
        recipe = make.recipe(program=make.OTHER)
        parsed = Recipe.parse(recipe.serialise(), where="here")
        assert parsed == recipe
        assert parsed.notes == recipe.notes
        assert parsed.digest == recipe.digest
        parsed.check_name(recipe.digest, where="here")

    def test_the_digest_is_what_it_always_was(self, make):
        assert make.recipe().digest == GOLDEN_RECIPE
        assert hashlib.sha256(GOLDEN_TEXT.encode()).hexdigest() == GOLDEN_RECIPE

    def test_the_digest_does_not_depend_on_notes(self, make):
        assert make.recipe(notes={"any": "thing"}).digest == make.recipe(notes={}).digest

    def test_the_digest_does_not_depend_on_the_order_of_members(self, make):
        recipe = make.recipe()
        reversed_ = make.recipe(preprocess=dict(reversed(recipe.preprocess.items())))
        assert list(reversed_.preprocess) != list(recipe.preprocess)
        assert reversed_.digest == recipe.digest

    def test_the_digest_depends_on_everything_else(self, make):
        changes = {
            "architecture": "other_net",
            "weights": "cd" * 32,
            "program": "ef" * 32,
            "cut": "layer3",
            "preprocess": {"resize_px": 257},
            "precision": "f16",
            "shape": (4, 3),
            "augmentation": VARIANT,
        }
        fields = {field.name for field in dataclasses.fields(Recipe)} - {"notes"}
        assert fields == set(changes)
        digests = {make.recipe().digest, *(make.recipe(**{name: value}).digest for name, value in changes.items())}
        assert len(digests) == len(changes) + 1

    def test_a_variant_survives_and_its_plain_recipe_is_the_other(self, make):
        recipe = make.recipe(augmentation=VARIANT)
        assert Recipe.parse(recipe.serialise(), where="here").augmentation == VARIANT
        assert recipe.plain.digest == make.recipe().digest == GOLDEN_RECIPE
        digests = {
            make.recipe(augmentation=dataclasses.replace(VARIANT, **change)).digest
            for change in ({}, {"seed": 1}, {"variant": 1}, {"crop_percent": None}, {"flip": False})
        }
        assert len(digests) == 5

    def test_text_outside_ascii_is_hashed_as_utf8(self, make):
        assert make.recipe(cut="é").digest != make.recipe(cut="e").digest
        assert Recipe.parse(make.recipe(cut="é").serialise(), where="here").cut == "é"

    def test_another_recipe_under_its_name_is_found(self, make):
        with pytest.raises(DamagedError) as caught:
            make.recipe().check_name(make.recipe(cut="layer3").digest, where="here")
        assert caught.value.code == "bad-digest"

    @pytest.mark.parametrize(
        "changes",
        [
            {"recipe": []},
            {"recipe": ...},
            {"notes": 1},
            {"recipe__architecture": 1},
            {"recipe__weights": "x"},
            {"recipe__weights": "AB" * 32},
            {"recipe__program": 1},
            {"recipe__cut": None},
            {"recipe__preprocess": []},
            {"recipe__precision": "f64"},
            {"recipe__shape": []},
            {"recipe__shape": [0]},
            {"recipe__shape": [-1, -1]},
            {"recipe__shape": [1.5]},
            {"recipe__shape": ["4"]},
            {"recipe__shape": [1] * 5},
            {"recipe__shape": [1 << 40]},
        ],
    )
    def test_impossible_members_are_refused(self, make, changes):
        with pytest.raises(FormatError) as caught:
            Recipe.parse(resealed(make.recipe().serialise(), **changes), where="here")
        assert caught.value.code == "bad-field"

    @pytest.mark.parametrize(
        ("number", "code"),
        [("NaN", "bad-json"), ("-Infinity", "bad-json"), ("1e999", "bad-field"), ('"\\ud800"', "bad-field")],
    )
    def test_what_cannot_be_hashed_is_refused(self, make, number, code):
        text = make.recipe().serialise()[:-68].decode().replace("3.25", number)
        data = make.sealed(text[: text.rindex(",\n")])
        with pytest.raises(FormatError) as caught:
            Recipe.parse(data, where="here")
        assert caught.value.code == code

    @pytest.mark.parametrize("member", ["dither", "notes"])
    def test_a_member_of_the_hashed_part_that_is_unknown_is_refused(self, make, member):
        with pytest.raises(FormatError, match=member) as caught:
            Recipe.parse(resealed(make.recipe().serialise(), **{f"recipe__{member}": {}}), where="here")
        assert caught.value.code == "unsupported-feature"

    @pytest.mark.parametrize("version", [2, 99])
    def test_a_later_format_is_refused(self, make, version):
        with pytest.raises(FormatError, match="install a newer one") as caught:
            Recipe.parse(resealed(make.recipe().serialise(), format=version), where="here")
        assert caught.value.code == "unsupported-version"


class TestVersion:
    def test_round_trip(self, make):
        for version in (make.version(), make.version(quarantined=3, quarantine=make.DIGEST), make.version(shards=())):
            assert DatasetVersion.parse(version.serialise(), where="here") == version

    def test_what_it_says_of_itself(self, make):
        version = make.version()
        assert version.label == "pets@7"
        assert version.rows == 11
        assert version.size_bytes == 201

    @pytest.mark.parametrize(
        "changes",
        [
            {"dataset": 1},
            {"version": "7"},
            {"version": True},
            {"created": None},
            {"shards": {}},
            {"shards": [1]},
            {"shards": ...},
            {"shards__0__images": "x"},
            {"shards__0__images": "../../" + "a" * 58},
            {"shards__0__annotations": "AB" * 32},
            {"shards__0__layout": "parquet"},
            {"shards__0__layout": "../x"},
            {"shards__0__rows": 0},
            {"shards__0__rows": -1},
            {"shards__0__rows": 1.0},
            {"shards__0__bytes": 0},
            {"quarantine": "../x"},
            {"quarantine": 1},
            {"quarantine": "ab" * 32},
        ],
    )
    def test_impossible_members_are_refused(self, make, changes):
        with pytest.raises(FormatError) as caught:
            DatasetVersion.parse(resealed(make.version().serialise(), **changes), where="here")
        assert caught.value.code == "bad-field"

    def test_a_later_format_is_refused(self, make):
        with pytest.raises(FormatError) as caught:
            DatasetVersion.parse(resealed(make.version().serialise(), format=2), where="here")
        assert caught.value.code == "unsupported-version"

    def test_what_it_requires_and_is_unknown_is_refused(self, make):
        with pytest.raises(FormatError, match="delta-shards") as caught:
            DatasetVersion.parse(resealed(make.version().serialise(), requires=["delta-shards"]), where="here")
        assert caught.value.code == "unsupported-feature"

    @pytest.mark.parametrize("more", [{"requires": []}, {"since": 5}, {"shards__0__heat": 1.5}])
    def test_what_a_reader_can_do_without_is_ignored(self, make, more):
        assert DatasetVersion.parse(resealed(make.version().serialise(), **more), where="here") == make.version()

    def test_a_shard_reference_is_all_there(self, make):
        assert {field.name for field in dataclasses.fields(ShardRef)} == set(
            json.loads(make.version().serialise())["shards"][0]
        )
