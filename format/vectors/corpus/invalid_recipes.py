"""Recipes and weights that are refused."""

from __future__ import annotations

import json
from typing import Any

from second.recipe import recipe_digest
from second.sealed_json import seal_text, write_sealed_json
from second.weights import weights_file

from .damage import flip
from .entries import Corpus, digest_of
from .invalid_documents import formats
from .samples import OTHER, some_augmentation, some_recipe


def add_invalid_recipes(corpus: Corpus) -> None:
    add_members(corpus)
    add_augmentations(corpus)
    add_spellings(corpus)
    add_weights(corpus)


def _file(recipe: dict[str, Any], **more: Any) -> tuple[str, bytes]:
    """Name and file, of a digest that fits."""
    name = f"recipes/{recipe_digest(recipe)}.json"
    return name, write_sealed_json({"format": 1, "notes": {}, "recipe": recipe, **more})


def add_members(corpus: Corpus) -> None:
    for file, changes, why in (
        ("architecture", {"architecture": None}, "no architecture"),
        ("weights", {"weights": "imagenet"}, "weights of a name that is no digest"),
        ("program", {"program": "resnet.onnx"}, "a program of a name that is no digest"),
        ("preprocess", {"preprocess": []}, "preprocess is no object"),
        ("precision", {"precision": "f16"}, "a precision that is none"),
        ("shape-empty", {"shape": []}, "a shape without axes"),
        ("shape-five", {"shape": [1, 1, 1, 1, 1]}, "a shape of five axes"),
        ("shape-zero", {"shape": [4, 0]}, "a side of 0"),
        ("shape-large", {"shape": [2**31]}, "a side of 2^31"),
        ("shape-double", {"shape": [4.0]}, "a side of 4.0"),
        ("shape-true", {"shape": [True]}, "a side that is true"),
    ):
        corpus.invalid(f"recipe-{file}.json", *_file(some_recipe(**changes)), "bad-field", why)
    for member in ("cut", "program"):
        recipe = some_recipe()
        del recipe[member]
        corpus.invalid(f"recipe-no-{member}.json", *_file(recipe), "bad-field", f"{member} is left out")
    name, data = _file(some_recipe(resampling="lanczos"))
    corpus.invalid("recipe-unknown-member.json", name, data, "unsupported-feature", "a member that decides values")
    for file, changes, code, why in formats()[:2]:
        corpus.invalid(f"recipe-{file}.json", *_file(some_recipe(), **changes), code, why)
    data = write_sealed_json({"format": 1, "notes": {}, "recipe": []})
    corpus.invalid("recipe-list.json", f"recipes/{OTHER}.json", data, "bad-field", "recipe is no object")
    name, data = _file(some_recipe())
    corpus.invalid("recipe-digest.json", f"recipes/{OTHER}.json", data, "bad-digest", "the recipe has another digest")
    corpus.invalid("recipe-flipped.json", name, flip(data, 60), "bad-seal", "a bit is flipped")


def add_augmentations(corpus: Corpus) -> None:
    still = {"flip": False, "colour_percent": [0, 0, 0]}
    for file, changes, why in (
        ("seed-negative", {"seed": -1}, "a seed below 0"),
        ("seed-large", {"seed": 2**32}, "a seed of 33 bits"),
        ("seed-double", {"seed": 3.0}, "a seed of 3.0"),
        ("variant-true", {"variant": True}, "a number that is true"),
        ("variant-large", {"variant": 65536}, "a number of 17 bits"),
        ("crop-backwards", {"crop_percent": [50, 49]}, "a crop of less at most than at least"),
        ("crop-zero", {"crop_percent": [0, 50]}, "a crop of nothing"),
        ("crop-beyond", {"crop_percent": [50, 101]}, "a crop of more than there is"),
        ("crop-one", {"crop_percent": [50]}, "a crop of one number"),
        ("flip-number", {"flip": 1}, "flip is a number"),
        ("colour-two", {"colour_percent": [1, 2]}, "two colours"),
        ("colour-beyond", {"colour_percent": [0, 101, 0]}, "a contrast of more than twice"),
        ("nothing", {"crop_percent": None, **still}, "a variant of which nothing is changed"),
    ):
        recipe = some_recipe(augmentation=some_augmentation(**changes))
        corpus.invalid(f"recipe-variant-{file}.json", *_file(recipe), "bad-field", why)
    for file, value, code, why in (
        ("null", None, "bad-field", "augmentation is null, where it is to be left out"),
        ("member", some_augmentation(blur=1), "unsupported-feature", "a member that is not known"),
    ):
        corpus.invalid(f"recipe-variant-{file}.json", *_file(some_recipe(augmentation=value)), code, why)
    incomplete = some_augmentation()
    del incomplete["seed"]
    recipe = some_recipe(augmentation=incomplete)
    corpus.invalid("recipe-variant-no-seed.json", *_file(recipe), "bad-field", "seed is left out")


def add_spellings(corpus: Corpus) -> None:
    """What JSON can say and the canonical form cannot."""
    for file, value, why in (
        ("infinity", "1e999", "a number beyond the largest double"),
        ("surrogate", '"\\ud800"', "a lone surrogate"),
    ):
        recipe = json.dumps(some_recipe(preprocess={"a": 0})).replace('{"a": 0}', '{"a": ' + value + "}")
        data = seal_text(b'{\n "format": 1,\n "notes": {},\n "recipe": ' + recipe.encode())
        corpus.invalid(f"recipe-{file}.json", f"recipes/{OTHER}.json", data, "bad-field", why)


def add_weights(corpus: Corpus) -> None:
    def tensor(dtype: str = "F32", shape: str = "[2]", offsets: str = "[0,8]") -> str:
        return f'{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}'

    for file, header, why in (
        ("outside", tensor(offsets="[4,12]"), "a tensor that ends outside of the file"),
        ("far-outside", tensor(shape="[4611686018427387904]", offsets="[0,18446744073709551616]"), "one of 2^64 bytes"),
        ("before", tensor(offsets="[-8,0]"), "a tensor before the first byte"),
        ("backwards", tensor(shape="[0]", offsets="[8,0]"), "a tensor that ends before it begins"),
        ("short", tensor(offsets="[0,4]"), "fewer bytes than the shape takes"),
        ("long", tensor(shape="[1]"), "more bytes than the shape takes"),
        ("negative", tensor(shape="[-1,-2]"), "negative sides"),
        ("shape", tensor(shape="{}", offsets="[0,4]"), "a shape that is no list"),
        ("type", tensor(dtype="F128"), "a type that is none"),
        ("no-offsets", '{"a":{"dtype":"F32","shape":[2]}}', "no offsets"),
        ("no-json", "{a}", "a header that is no JSON"),
        ("list", "[]", "a header that is no object"),
    ):
        digest, data = weights_file(header, bytes(8))
        corpus.invalid(f"weights-{file}.safetensors", f"models/{digest}.safetensors", data, "bad-weights", why)
    digest, data = weights_file(tensor(), bytes(8))
    name = f"models/{digest}.safetensors"
    corpus.invalid("weights-flipped.safetensors", name, flip(data, -1), "bad-digest", "a bit is flipped")
    corpus.invalid("weights-truncated.safetensors", name, data[:-1], "bad-digest", "the last byte is missing")
    _add_headers(corpus, data)


def _add_headers(corpus: Corpus, data: bytes) -> None:
    for file, changed, why in (
        ("header-long", (1 << 40).to_bytes(8, "little") + data[8:], "a header longer than the file"),
        ("tiny", b"\0\0\0", "a file too short for a header's length"),
    ):
        name = f"models/{digest_of(changed)}.safetensors"
        corpus.invalid(f"weights-{file}.safetensors", name, changed, "bad-weights", why)
