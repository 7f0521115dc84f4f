"""Any object of a store, which its name says the kind of (store.md). Values are plain JSON, bytes hexadecimal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from .annotations import read_annotations
from .augmentation import draws
from .documents import read_expiry, read_file_seal, read_marker, read_quarantine, read_version
from .features import read_features
from .images import Record, read_images
from .images_lmdb import read_lmdb_images
from .recipe import canonical, read_recipe
from .refused import Refused, check
from .weights import read_weights

DIGEST = "([0-9a-f]{64})"
DATASET = r"([a-z0-9][a-z0-9._-]{0,99})"


def read_object(name: str, data: bytes, seal: bytes = b"") -> Any:
    """What an object holds; ``seal`` is the object beside an LMDB file. Raises ``Refused``."""
    for pattern, read in READERS.items():
        match = re.fullmatch(pattern, name)
        if match:
            return read(match.groups(), data, seal)
    raise Refused("bad-name", f"{name} is none of a store's")


def _version(parts: tuple[str, ...], data: bytes, _: bytes) -> Any:
    version = read_version(data)
    check((version["dataset"], version["version"]) == (parts[0], int(parts[1])), "bad-name", "another version")
    return version


def _expiry(parts: tuple[str, ...], data: bytes, _: bytes) -> Any:
    expiry = read_expiry(data)
    check((expiry["dataset"], expiry["version"]) == (parts[0], int(parts[1])), "bad-name", "of another version")
    return expiry


def _quarantine(parts: tuple[str, ...], data: bytes, _: bytes) -> Any:
    report = read_quarantine(data)
    check(hashlib.sha256(data).hexdigest() == parts[1], "bad-digest", "the file has another digest")
    return report


def _seal(parts: tuple[str, ...], data: bytes, _: bytes) -> Any:
    seal = read_file_seal(data)
    check(seal["images"] == parts[0], "bad-name", "the seal of another shard")
    return seal


def _recipe(parts: tuple[str, ...], data: bytes, _: bytes) -> Any:
    whole = read_recipe(data, parts[0])
    found = {"canonical": canonical(whole["recipe"]).decode(), "object": whole}
    augmentation = whole["recipe"].get("augmentation")
    return {**found, "draws": draws(augmentation)} if augmentation else found


def _records(records: list[Record]) -> list[dict[str, Any]]:
    return [{name: v.hex() if isinstance(v, bytes) else v for name, v in r.items()} for r in records]


def _features(parts: tuple[str, ...], data: bytes, _: bytes) -> Any:
    found = read_features(data, *parts)
    values = {"shape": found.description["shape"], "float32": found.values.hex(), "provenance": found.provenance}
    missing = found.description.get("missing")
    return {**values, "missing": missing} if missing else values


def _weights(parts: tuple[str, ...], data: bytes, _: bytes) -> Any:
    tensors = read_weights(data, parts[0])
    return {name: {"dtype": t.dtype, "shape": t.shape, "data": t.data.hex()} for name, t in tensors.items()}


READERS: dict[str, Callable[[tuple[str, ...], bytes, bytes], Any]] = {
    r"hapistore\.json": lambda _parts, data, _seal: read_marker(data),
    rf"datasets/{DATASET}/versions/([0-9]{{8}})\.json": _version,
    rf"datasets/{DATASET}/expired/([0-9]{{8}})\.json": _expiry,
    rf"datasets/{DATASET}/quarantine/{DIGEST}\.json": _quarantine,
    rf"images/{DIGEST}\.arrow": lambda parts, data, _: _records(read_images(data, parts[0])),
    rf"images/{DIGEST}\.lmdb": lambda parts, data, seal: _records(read_lmdb_images(data, seal, parts[0])),
    rf"images/{DIGEST}\.lmdb\.json": _seal,
    rf"annotations/{DIGEST}\.arrow": lambda parts, data, _: read_annotations(data, parts[0]),
    rf"recipes/{DIGEST}\.json": _recipe,
    rf"models/{DIGEST}\.safetensors": _weights,
    rf"features/{DIGEST}/([a-z0-9+]+)/{DIGEST}\.arrow": _features,
}
