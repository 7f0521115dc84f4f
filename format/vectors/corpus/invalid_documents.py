"""Sealed JSON that is refused: damaged, no JSON, or of impossible members."""

from __future__ import annotations

import json
from typing import Any

from second.sealed_json import seal_text, write_sealed_json

from .damage import flip
from .entries import Corpus, digest_of
from .samples import EXPIRY_NAME, IMAGES, OTHER, VERSION_NAME, some_expiry, some_version

MARKER = "hapistore.json"


def add_invalid_documents(corpus: Corpus) -> None:
    add_damage(corpus)
    add_no_json(corpus)
    add_formats(corpus)
    add_versions(corpus)
    add_expiries(corpus)
    add_seals(corpus)


def add_damage(corpus: Corpus) -> None:
    whole = write_sealed_json(some_version())
    for file, data, code, why in (
        ("flipped", flip(whole, 40), "bad-seal", "a bit is flipped"),
        ("flipped-seal", flip(whole, -10), "bad-seal", "a bit of the seal is flipped"),
        ("truncated", whole[:-1], "no-seal", "the last byte is missing"),
        ("appended", whole + b"\n", "no-seal", "a byte follows"),
        ("empty", b"", "no-seal", "there is nothing"),
        ("unsealed", json.dumps(some_version()).encode(), "no-seal", "JSON without a seal"),
    ):
        corpus.invalid(f"version-{file}.json", VERSION_NAME, data, code, why)
    report = write_sealed_json({"format": 1, "images": []})
    name = f"datasets/pets/quarantine/{OTHER}.json"
    corpus.invalid("quarantine-digest.json", name, report, "bad-digest", "the file has another digest than its name")


def add_no_json(corpus: Corpus) -> None:
    for file, text, why in (
        ("no-json", b'{\n "format": 1, "kind": hapistore', "a string without quotes"),
        ("list", b'[\n "format"', "a list that ends as an object"),
        ("nested", b'{\n "a": ' + b"[" * 5_000, "lists inside of lists, 5,000 of them, none closed"),
        ("no-utf8", b'{\n "format": 1,\n "kind": "hapistore",\n "later": "\xff"', "a string that is no UTF-8"),
        ("deep", b'{\n "a": ' + b"[" * 64 + b"]" * 64, "65 objects and lists, one in another"),
        ("twice", b'{\n "format": 1,\n "format": 1,\n "kind": "hapistore"', "a member that is there twice"),
        ("nan", b'{\n "format": 1,\n "kind": "hapistore",\n "later": NaN', "NaN, which RFC 8259 does not know"),
    ):
        corpus.invalid(f"marker-{file}.json", MARKER, seal_text(text), "bad-json", why)


def formats() -> list[tuple[str, dict[str, Any], str, str]]:
    """What is wrong with ``format`` and ``requires`` of any description."""
    return [
        ("format-2", {"format": 2}, "unsupported-version", "format 2"),
        ("requires", {"requires": ["time-travel"]}, "unsupported-feature", "it requires what nobody knows"),
        ("requires-text", {"requires": "time-travel"}, "bad-field", "requires is no list"),
    ]


def add_formats(corpus: Corpus) -> None:
    more: list[tuple[str, dict[str, Any], str, str]] = [
        ("format-0", {"format": 0}, "unsupported-version", "format 0"),
        ("format-text", {"format": "1"}, "bad-field", "format is a string"),
        ("format-true", {"format": True}, "bad-field", "format is true"),
        ("format-double", {"format": 1.0}, "bad-field", "format is 1.0, which is no integer"),
    ]
    for file, changes, code, why in formats() + more:
        data = write_sealed_json({"format": 1, "kind": "hapistore", **changes})
        corpus.invalid(f"marker-{file}.json", MARKER, data, code, why)
    corpus.invalid("marker-no-format.json", MARKER, write_sealed_json({"kind": "hapistore"}), "bad-field", "no format")
    for file, changes, code, why in formats()[:2]:
        data = write_sealed_json(some_version(**changes))
        corpus.invalid(f"version-{file}.json", VERSION_NAME, data, code, why)


def add_versions(corpus: Corpus) -> None:
    shard = some_version()["shards"][0]
    for file, changes, why in (
        ("shards", {"shards": {}}, "shards is no list"),
        ("shard", {"shards": [IMAGES]}, "a shard is no object"),
        ("number", {"version": "7"}, "version is a string"),
        ("number-large", {"version": 100_000_000}, "a number of nine digits"),
        ("dataset", {"dataset": "../pets"}, "a dataset's name that is none"),
        ("created-escape", {"created": "\x1b[2J"}, "a time that clears the screen"),
        ("created", {"created": 2026}, "created is a number"),
        ("images", {"shards": [{**shard, "images": "AB" * 32}]}, "a digest in upper case"),
        ("annotations", {"shards": [{**shard, "annotations": None}]}, "no annotations"),
        ("layout", {"shards": [{**shard, "layout": "zip"}]}, "a layout that is none"),
        ("rows", {"shards": [{**shard, "rows": 0}]}, "a shard of no rows"),
        ("bytes", {"shards": [{**shard, "bytes": True}]}, "bytes is true"),
        ("quarantine", {"quarantine": "none", "quarantined": 1}, "a report of a name that is no digest"),
        ("quarantine-null", {"quarantine": None}, "a report that is null"),
        ("quarantined", {"quarantine": OTHER}, "a report, but not of how many"),
    ):
        data = write_sealed_json(some_version(**changes))
        corpus.invalid(f"version-{file}.json", VERSION_NAME, data, "bad-field", why)
    for file, changes in (("other-number", {"version": 8}), ("other-dataset", {"dataset": "cars"})):
        data = write_sealed_json(some_version(**changes))
        corpus.invalid(f"version-{file}.json", VERSION_NAME, data, "bad-name", "another version than its name says")


def add_expiries(corpus: Corpus) -> None:
    cases: list[tuple[str, dict[str, Any], str, str]] = [
        *formats()[:2],
        ("dataset", {"dataset": "Pets"}, "bad-field", "a dataset's name that is none"),
        ("number", {"version": True}, "bad-field", "version is true"),
        ("number-zero", {"version": 0}, "bad-field", "version 0"),
        ("expired", {"expired": None}, "bad-field", "no time"),
        ("expired-escape", {"expired": "\x1b[2J"}, "bad-field", "a time that clears the screen"),
        ("other-number", {"version": 8}, "bad-name", "of another version than its name says"),
        ("other-dataset", {"dataset": "cars"}, "bad-name", "of another dataset than its name says"),
    ]
    for file, changes, code, why in cases:
        corpus.invalid(f"expiry-{file}.json", EXPIRY_NAME, write_sealed_json(some_expiry(**changes)), code, why)
    flipped = flip(write_sealed_json(some_expiry()), 20)
    corpus.invalid("expiry-flipped.json", EXPIRY_NAME, flipped, "bad-seal", "a bit is flipped")


def add_seals(corpus: Corpus) -> None:
    said: dict[str, Any] = {"bytes": 9, "format": 1, "images": IMAGES, "span_bytes": 5, "xxh3_128": ["00" * 16] * 2}
    cases: list[tuple[str, dict[str, Any], str, str]] = [
        *formats()[:2],
        ("images", {"images": 1}, "bad-field", "images is no digest"),
        ("bytes", {"bytes": 0, "xxh3_128": []}, "bad-field", "a file of no bytes"),
        ("span", {"span_bytes": 0}, "bad-field", "spans of no bytes"),
        ("count", {"xxh3_128": ["00" * 16]}, "bad-field", "fewer checksums than spans"),
        ("sums", {"xxh3_128": None}, "bad-field", "no checksums"),
        ("other", {"images": OTHER}, "bad-name", "the seal of another shard than its name says"),
    ]
    for file, changes, code, why in cases:
        corpus.invalid(
            f"seal-{file}.json", f"images/{IMAGES}.lmdb.json", write_sealed_json({**said, **changes}), code, why
        )
    flipped = flip(write_sealed_json(said), 20)
    name = f"images/{IMAGES}.lmdb.json"
    corpus.invalid("seal-flipped.json", name, flipped, "bad-seal", "a bit is flipped")
    digest = digest_of(b"")
    corpus.invalid("seal-truncated.json", f"images/{digest}.lmdb.json", flipped[:-9], "no-seal", "it is cut off")
