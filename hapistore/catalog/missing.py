"""Rows of a dataset version that have no features, from the beginnings of its feature shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hapistore_format import (
    AnnotationShard,
    DatasetVersion,
    FeatureShardReader,
    FormatError,
    MissingRow,
    Recipe,
    read_feature_header,
)
from hapistore_format.sealed_arrow import HEAD_START_BYTES, head_bytes

from ..errors import NotFound, StoreError, TransientError
from ..stores import ObjectStore
from ..threads import map_ahead
from .names import annotations_name, features_name
from .reading import read_object

MissingRows = Mapping[int, tuple[MissingRow, ...]]
"""Number of a shard in its version → its rows without features; shards that lack none are left out."""
_THREADS, _AHEAD = 8, 64
# Less than the smallest feature shard has, and enough for a header without missing rows.
_FIRST_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An image that has no features.

    Attributes:
        images: digest of its shard; row: its row there. reason: a code, see the format's page on feature shards.
        detail: what was wrong, in words; empty where an earlier run found it.
    """

    key: str
    images: str
    row: int
    reason: str
    detail: str = ""


def find_missing(
    store: ObjectStore, version: DatasetVersion, recipe: Recipe, codec: str, *, shards: Sequence[int] | None = None
) -> MissingRows:
    """Rows without features of every shard of a version that has been extracted.

    One small request a shard. What was read is covered by no checksum: it is compared when a shard is opened.

    Args:
        shards: numbers of those that are looked at; None: all.

    Raises:
        FormatError: a feature shard is damaged.
    """

    def read(number: int) -> tuple[MissingRow, ...]:
        try:
            return read_missing(store, features_name(recipe.digest, codec, version.shards[number].images))
        except NotFound:
            return ()  # not extracted yet

    numbers = range(len(version.shards)) if shards is None else shards
    rows = map_ahead(read, numbers, threads=_THREADS, ahead=_AHEAD, name="hapistore-heads")
    return {number: missing for number, missing in zip(numbers, rows, strict=True) if missing}


def read_missing(store: ObjectStore, name: str) -> tuple[MissingRow, ...]:
    """Rows without features of one feature shard.

    Raises:
        NotFound: there is none.
        FormatError: it is damaged.
    """
    try:
        return _read_head(store, name)
    except (NotFound, TransientError):
        raise
    except (FormatError, StoreError):  # garbled, or cut off before the header ends
        # Read as a whole it is checked, and fetched again where it was damaged on its way.
        return read_object(store, name, FeatureShardReader).missing


def _read_head(store: ObjectStore, name: str) -> tuple[MissingRow, ...]:
    (head,) = store.get_ranges(name, [(0, _FIRST_BYTES)])
    size = head_bytes(head[:HEAD_START_BYTES], where=name)
    if size > len(head):
        (head,) = store.get_ranges(name, [(0, size)])
    return read_feature_header(head, where=name).missing


def list_left_out(store: ObjectStore, version: DatasetVersion, missing: MissingRows) -> list[LeftOut]:
    """Missing rows with their keys, in the version's order; images that are dropped are not told."""
    found = []
    for number, rows in sorted(missing.items()):
        shard = version.shards[number]
        table = read_object(store, annotations_name(shard.annotations), AnnotationShard).table
        keys, dropped = table["key"], table["dropped"]
        found += [
            LeftOut(key=keys[row].as_py(), images=shard.images, row=row, reason=reason)
            for row, reason in rows
            if not dropped[row].as_py()
        ]
    return found
