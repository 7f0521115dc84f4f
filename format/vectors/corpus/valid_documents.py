"""Valid sealed JSON and weights."""

from __future__ import annotations

import struct

from second.recipe import write_recipe
from second.sealed_json import write_sealed_json
from second.weights import SIZES, Tensor, weights_file, write_weights

from .entries import Corpus, digest_of
from .samples import EXPIRY_NAME, OTHER, VERSION_NAME, some_augmentation, some_expiry, some_recipe, some_version


def add_documents(corpus: Corpus) -> None:
    add_datasets(corpus)
    add_recipes(corpus)
    add_weights(corpus)


def add_datasets(corpus: Corpus) -> None:
    marker = {"format": 1, "kind": "hapistore"}
    corpus.valid("marker.json", "hapistore.json", write_sealed_json(marker), "the marker")
    newer = write_sealed_json({**marker, "later": {"a": [1.5, None, True, {}, []]}, "requires": []})
    corpus.valid("marker-unknown-members.json", "hapistore.json", newer, "unknown members, nothing required")
    for file, changes, shows in (
        ("version", {}, "a shard of either layout"),
        ("version-quarantine", {"quarantine": OTHER, "quarantined": 2}, "images that were left out"),
        ("version-empty", {"shards": []}, "no shards"),
        ("version-unknown-members", {"later": 'ä\n\u0001"\\€𝄞', "requires": []}, "unknown members, text of all kinds"),
    ):
        corpus.valid(f"{file}.json", VERSION_NAME, write_sealed_json(some_version(**changes)), shows)
    for file, changes, shows in (
        ("expiry", {}, "a version that is given up"),
        ("expiry-unknown-members", {"later": [], "requires": []}, "unknown members, nothing required"),
    ):
        corpus.valid(f"{file}.json", EXPIRY_NAME, write_sealed_json(some_expiry(**changes)), shows)
    images = [
        {"key": "a/ä.png", "reason": "not-decodable", "detail": 'cut off\nat "byte" 7'},
        {"key": "b", "reason": "empty", "detail": ""},
    ]
    for file, listed in (("quarantine", images), ("quarantine-empty", [])):
        data = write_sealed_json({"format": 1, "images": listed})
        corpus.valid(f"{file}.json", f"datasets/pets/quarantine/{digest_of(data)}.json", data, f"{len(listed)} images")


def add_recipes(corpus: Corpus) -> None:
    spellings = {
        "numbers": [0, -1, 10**20, 0.0, -0.0, 1.0, 0.1, 1e-4, 1e-5, 1.5e-7, 1e15, 1e16, 1.5e16, 5e-324],
        "text": "\"\\/\b\t\n\f\r\u0000\u001f\u007f ä€𝄞\u2028",
        "\uffff": "after U+10000 in UTF-16, before it by code points",
        "\U00010000": [True, False, None, {}, [], {"b": {}, "a": [[]]}],
    }  # fmt: skip
    small = {"crop_percent": [1, 5], "flip": False, "colour_percent": [0, 0, 0]}
    mirrored = {"crop_percent": None, "colour_percent": [0, 0, 0], "seed": 2**32 - 1, "variant": 65535}
    wild = {"crop_percent": [100, 100], "flip": False, "colour_percent": [100, 100, 100], "seed": 0, "variant": 0}
    for file, changes, shows in (
        ("recipe", {}, "no program"),
        ("recipe-program", {"program": OTHER, "shape": [1]}, "a program"),
        ("recipe-bf16", {"precision": "bf16"}, "the other precision"),
        ("recipe-spellings", {"preprocess": spellings}, "all spellings of the canonical form"),
        ("recipe-largest-shape", {"shape": [1, 2, 3, 2**31 - 1]}, "four axes, the largest side"),
        ("recipe-variant", {"augmentation": some_augmentation()}, "a variant: all that can be drawn"),
        ("recipe-variant-crop", {"augmentation": some_augmentation(**small)}, "small crops, and nothing else"),
        ("recipe-variant-flip", {"augmentation": some_augmentation(**mirrored)}, "no crop, the largest numbers"),
        ("recipe-variant-colour", {"augmentation": some_augmentation(**wild)}, "colours as far as they go"),
    ):
        digest, data = write_recipe(some_recipe(**changes), {"weights": "imagenet"})
        corpus.valid(f"{file}.json", f"recipes/{digest}.json", data, shows)


def add_weights(corpus: Corpus) -> None:
    every = {dtype.lower(): Tensor(dtype, [1, 3], bytes(range(3 * size))) for dtype, size in SIZES.items()}
    scalar = {
        "ä": Tensor("F32", [], struct.pack("<f", 1.5)),
        "Z": Tensor("U8", [0, 7], b""),
        "a": Tensor("U8", [1], b"x"),
    }
    for file, tensors, shows in (
        ("weights", every, "every type"),
        ("weights-scalar", scalar, "no axis, no values, names"),
    ):
        digest, data = write_weights(tensors)
        corpus.valid(f"{file}.safetensors", f"models/{digest}.safetensors", data, shows)
    digest, data = weights_file("{}", b"")
    corpus.valid("weights-none.safetensors", f"models/{digest}.safetensors", data, "no tensors")
