"""Where each kind of object lies in a store. The only place that knows."""

from __future__ import annotations

import re
from typing import NamedTuple

MARKER = "hapistore.json"
DATASETS = "datasets/"


def version_name(dataset: str, number: int) -> str:
    return f"datasets/{dataset}/versions/{number:08d}.json"


def expiry_name(dataset: str, number: int) -> str:
    """Marker beside a version that is given up."""
    return f"datasets/{dataset}/expired/{number:08d}.json"


def quarantine_name(dataset: str, digest: str) -> str:
    return f"datasets/{dataset}/quarantine/{digest}.json"


def images_name(digest: str, layout: str = "arrow") -> str:
    return f"images/{digest}.{layout}"


def seal_name(digest: str) -> str:
    """Beside an image shard in the LMDB layout."""
    return f"images/{digest}.lmdb.json"


def images_names(digest: str, layout: str) -> list[str]:
    """Every object that an image shard consists of."""
    return [images_name(digest, layout), *([seal_name(digest)] if layout == "lmdb" else [])]


def annotations_name(digest: str) -> str:
    return f"annotations/{digest}.arrow"


def recipe_name(digest: str) -> str:
    return f"recipes/{digest}.json"


def weights_name(digest: str) -> str:
    return f"models/{digest}.safetensors"


def features_name(recipe: str, codec: str, images: str) -> str:
    return f"features/{recipe}/{codec}/{images}.arrow"


_DIGEST = r"[0-9a-f]{64}"
_KINDS = {
    "marker": re.compile(r"hapistore\.json"),
    "version": re.compile(r"datasets/(?P<dataset>[^/]+)/versions/(?P<number>\d{8})\.json"),
    "expiry": re.compile(r"datasets/(?P<dataset>[^/]+)/expired/(?P<number>\d{8})\.json"),
    "quarantine": re.compile(rf"datasets/(?P<dataset>[^/]+)/quarantine/(?P<digest>{_DIGEST})\.json"),
    "images": re.compile(rf"images/(?P<digest>{_DIGEST})\.(?P<layout>arrow|lmdb)"),
    "seal": re.compile(rf"images/(?P<digest>{_DIGEST})\.lmdb\.json"),
    "annotations": re.compile(rf"annotations/(?P<digest>{_DIGEST})\.arrow"),
    "recipe": re.compile(rf"recipes/(?P<digest>{_DIGEST})\.json"),
    "weights": re.compile(rf"models/(?P<digest>{_DIGEST})\.safetensors"),
    "features": re.compile(rf"features/(?P<recipe>{_DIGEST})/(?P<codec>[^/]+)/(?P<images>{_DIGEST})\.arrow"),
}


class ParsedName(NamedTuple):
    """Kind of an object, and what its name says of it."""

    kind: str
    parts: dict[str, str]


def parse_name(name: str) -> ParsedName | None:
    """What an object is, by its name; None where it is none of hapistore's."""
    for kind, pattern in _KINDS.items():
        match = pattern.fullmatch(name)
        if match:
            return ParsedName(kind, match.groupdict())
    return None
