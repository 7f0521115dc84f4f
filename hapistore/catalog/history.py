"""A dataset's versions, and what each changed. Only annotation shards that differ are read."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from hapistore_format import AnnotationShard, DatasetVersion, ShardRef

from ..errors import NotFound, UsageError
from ..stores import ObjectStore
from .datasets import find_expiry, highest_number, parse_dataset, read_version, resolve_version
from .marker import require_store
from .names import annotations_name
from .reading import read_object

_FIXED = ("key", "label", "subset", "dropped")


@dataclass(kw_only=True)
class Changes:
    """What a version changed from the one a number below it, counted in images that are not dropped.

    Attributes:
        added: keys that were not there; replaced: keys with another image; dropped: that are left out now;
            restored: that were left out and are back.
        relabelled, resubset, edited: kept images with another label, subset, or metadata.
        columns_added: names of metadata columns, with their types; columns_removed: names.
    """

    added: int = 0
    replaced: int = 0
    dropped: int = 0
    restored: int = 0
    relabelled: int = 0
    resubset: int = 0
    edited: int = 0
    columns_added: dict[str, str] = field(default_factory=dict)
    columns_removed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """One version.

    Attributes:
        expired: when it was given up, ISO 8601; None where it is open.
        changes: None where annotations of it, or of the version before, were removed by ``gc``.
    """

    version: DatasetVersion
    expired: str | None
    changes: Changes | None


def dataset_log(store: ObjectStore, dataset: str) -> Iterator[LogEntry]:
    """Versions of a dataset, newest first, expired ones included; each is read when it is asked for.

    Raises:
        UsageError: there is no such dataset.
    """
    require_store(store)
    name, number = parse_dataset(dataset)
    if number is not None:
        raise UsageError(f"{dataset} names one version, expected a dataset; hapistore inspect {dataset} shows that one")
    highest = highest_number(store, name)
    if not highest:
        resolve_version(store, name)
    return _entries(store, name, highest)


def _entries(store: ObjectStore, name: str, highest: int) -> Iterator[LogEntry]:
    version = read_version(store, name, highest)
    for number in range(highest, 0, -1):
        before = read_version(store, name, number - 1) if number > 1 else None
        expiry = find_expiry(store, name, number)
        yield LogEntry(
            version=version, expired=expiry.expired if expiry else None, changes=_changes(store, before, version)
        )
        version = before or version


def _changes(store: ObjectStore, before: DatasetVersion | None, after: DatasetVersion) -> Changes | None:
    try:
        return compare_versions(store, before, after)
    except NotFound:
        return None


def compare_versions(store: ObjectStore, before: DatasetVersion | None, after: DatasetVersion) -> Changes:
    """What changed from one version to another.

    Raises:
        NotFound: annotations of one were removed.
        FormatError: they are damaged.
    """
    old, new = _differing(before.shards if before else (), after.shards)
    there, now = _load(store, old), _load(store, new)
    changes = Changes()
    for key, place in now.live.items():
        _compare_key(changes, key, there, now, place)
    changes.dropped = len(there.live.keys() - now.live.keys())
    if before is not None:
        untouched = _placed(before.shards[:1]) if not old else []  # of columns, one shard speaks for all
        columns = there.columns | _load(store, untouched).columns
        changes.columns_added = {name: kind for name, kind in now.columns.items() if name not in columns} if new else {}
        gone = there.columns.keys() - now.columns.keys() if len(new) == len(after.shards) else set()
        changes.columns_removed = tuple(sorted(gone))
    return changes


_Placed = tuple[ShardRef, int]  # a shard, and how many of the same images stand before it in its version
_Place = tuple[str, int, int]  # of a record: digest of its image shard, that number, row


def _placed(shards: tuple[ShardRef, ...]) -> list[_Placed]:
    seen: Counter[str] = Counter()
    placed = []
    for shard in shards:
        placed.append((shard, seen[shard.images]))
        seen[shard.images] += 1
    return placed


def _differing(before: tuple[ShardRef, ...], after: tuple[ShardRef, ...]) -> tuple[list[_Placed], list[_Placed]]:
    """Shards that are not in the other version with the same images and annotations; layouts do not count."""
    old, new = (Counter((shard.images, shard.annotations) for shard in shards) for shards in (before, after))
    sides = []
    for shards, more in ((before, old - new), (after, new - old)):
        side = []
        for shard, nth in _placed(shards):
            if more[shard.images, shard.annotations] > 0:
                more[shard.images, shard.annotations] -= 1
                side.append((shard, nth))
        sides.append(side)
    return sides[0], sides[1]


@dataclass
class _Side:
    """Rows of one version's differing shards: where each key is, and what is said of it."""

    live: dict[str, _Place] = field(default_factory=dict)
    dropped: set[_Place] = field(default_factory=set)
    rows: dict[_Place, dict[str, Any]] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)


def _load(store: ObjectStore, shards: list[_Placed]) -> _Side:
    side = _Side()
    for shard, nth in shards:
        annotations = read_object(store, annotations_name(shard.annotations), AnnotationShard)
        side.columns |= {name: kind for name, kind in annotations.columns().items() if name not in _FIXED}
        for number, row in enumerate(_rows(annotations.table)):
            place = (shard.images, nth, number)
            if row.pop("dropped"):
                side.dropped.add(place)
            else:
                side.live[row["key"]] = place
                side.rows[place] = row
    return side


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    return itertools.chain.from_iterable(batch.to_pylist() for batch in table.to_batches(max_chunksize=4096))


def _compare_key(changes: Changes, key: str, there: _Side, now: _Side, place: _Place) -> None:
    old_place = there.live.get(key)
    if old_place is None:
        changes.restored += place in there.dropped
        changes.added += place not in there.dropped
        return
    old, new = there.rows[old_place], now.rows[place]
    changes.replaced += old_place != place
    changes.relabelled += _differ(old["label"], new["label"])
    changes.resubset += old["subset"] != new["subset"]
    others = (old.keys() | new.keys()) - set(_FIXED)
    changes.edited += any(_differ(old.get(name), new.get(name)) for name in others)


def _differ(one: Any, other: Any) -> bool:
    """Whether two values differ; NaN equals NaN."""
    return bool(one != other and not (one != one and other != other))
