"""The sealed JSON objects of a store that are no recipes (datasets.md, sealing.md)."""

from __future__ import annotations

import re
from typing import Any

import xxhash

from .members import check_format, digest, integer, is_digest, text
from .refused import Refused, check
from .sealed_json import read_sealed_json

LAYOUTS = ("arrow", "lmdb")
NAME = re.compile("[a-z0-9][a-z0-9._-]{0,99}")  # of a dataset


def read_marker(data: bytes) -> dict[str, Any]:
    marker = read_sealed_json(data)
    check_format(marker)
    check(text(marker, "kind") == "hapistore", "bad-field", f"kind {marker['kind']}")
    return marker


def read_version(data: bytes) -> dict[str, Any]:
    """A version of a dataset, its members checked."""
    version = read_sealed_json(data)
    check_format(version)
    check(
        NAME.fullmatch(text(version, "dataset")) is not None and ".." not in version["dataset"], "bad-field", "dataset"
    )
    check(text(version, "created").isprintable(), "bad-field", "created")
    integer(version, "version", most=99_999_999)
    check(isinstance(version.get("shards"), list), "bad-field", "shards is no list")
    for shard in version["shards"]:
        check(isinstance(shard, dict), "bad-field", "a shard is no object")
        _check_shard(shard)
    if "quarantine" in version:
        digest(version, "quarantine")
        integer(version, "quarantined")
    return version


def read_expiry(data: bytes) -> dict[str, Any]:
    """The marker of a version that is given up."""
    expiry = read_sealed_json(data)
    check_format(expiry)
    known = NAME.fullmatch(text(expiry, "dataset")) is not None and ".." not in expiry["dataset"]
    check(known, "bad-field", "dataset")
    check(text(expiry, "expired").isprintable(), "bad-field", "expired")
    integer(expiry, "version", most=99_999_999)
    return expiry


def _check_shard(shard: dict[str, Any]) -> None:
    for name in ("images", "annotations"):
        digest(shard, name)
    check(text(shard, "layout") in LAYOUTS, "bad-field", f"layout {shard['layout']}")
    for name in ("rows", "bytes"):
        integer(shard, name)


def read_quarantine(data: bytes) -> dict[str, Any]:
    """A quarantine report."""
    report = read_sealed_json(data)
    check_format(report)
    check(isinstance(report.get("images"), list), "bad-field", "images is no list")
    for image in report["images"]:
        check(isinstance(image, dict), "bad-field", "an image is no object")
        for name in ("key", "reason", "detail"):
            text(image, name)
    return report


def read_file_seal(data: bytes) -> dict[str, Any]:
    """The seal of a file that cannot hold its own."""
    seal = read_sealed_json(data)
    check_format(seal)
    digest(seal, "images")
    size, span = integer(seal, "bytes"), integer(seal, "span_bytes")
    sums = seal.get("xxh3_128")
    if not isinstance(sums, list):
        raise Refused("bad-field", "xxh3_128 is no list")
    check(all(isinstance(s, str) and is_digest(s + s) for s in sums), "bad-field", "a checksum is none")
    check(len(sums) == -(-size // span), "bad-field", f"{len(sums)} checksums of {size} bytes")
    return seal


def file_seal(data: bytes, images: str, span_bytes: int) -> dict[str, Any]:
    """What the seal of a file says."""
    spans = [data[at : at + span_bytes] for at in range(0, len(data), span_bytes)]
    sums = [xxhash.xxh3_128_hexdigest(span) for span in spans]
    return {"bytes": len(data), "format": 1, "images": images, "span_bytes": span_bytes, "xxh3_128": sums}


def check_file(data: bytes, seal: dict[str, Any]) -> None:
    """Size and all spans of a file against its seal (bad-block)."""
    check(len(data) == seal["bytes"], "bad-block", f"{len(data)} bytes instead of {seal['bytes']}")
    same = file_seal(data, seal["images"], seal["span_bytes"])["xxh3_128"] == seal["xxh3_128"]
    check(same, "bad-block", "a span does not match its checksum")
