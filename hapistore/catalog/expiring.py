"""The verbs that give versions up and bring them back: expire, rm, rollback. None removes or copies an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from hapistore_format import DatasetVersion, Expiry

from ..errors import AlreadyExists, HapistoreError, MissingObjects, NotFound, UsageError
from ..stores import ObjectStore, exists
from ..stores.protocol import LocalObjects
from ..threads import map_ahead
from .datasets import (
    commit_version,
    expired_numbers,
    highest_number,
    parse_dataset,
    read_version,
    require_commits,
    resolve_version,
)
from .marker import require_store
from .names import expiry_name, images_name
from .references import missing_objects, version_objects

_THREADS, _AHEAD = 8, 64


@dataclass(frozen=True, kw_only=True)
class ExpireResult:
    """What was given up.

    Attributes:
        expired: numbers of the versions that expired now; kept: of those that stay open, oldest first.
    """

    dataset: str
    expired: tuple[int, ...]
    kept: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class RollbackResult:
    """What was brought back.

    Attributes:
        version: the dataset's newest version, equal to the one asked for; ``committed`` says whether this call made it.
        source: number of the version asked for.
    """

    version: DatasetVersion
    committed: bool
    source: int


def expire_versions(store: ObjectStore, dataset: str, *, keep: int) -> ExpireResult:
    """Give up all versions of a dataset but the newest ``keep`` that are not expired yet.

    Nothing is removed: ``gc`` does that after its grace, and until then ``roll_back`` brings them back.

    Raises:
        UsageError: there is no such dataset, or nothing would be kept.
    """
    if keep < 1:
        raise UsageError(f"keep is {keep}, expected at least 1; hapistore rm {dataset} gives up all versions")
    name = _plain_name(store, dataset, "expire --keep gives up the oldest")
    resolve_version(store, name)  # says what there is where there is none
    kept: list[int] = []
    listed = expired_numbers(store, name)
    number = highest_number(store, name)
    while number and len(kept) < keep:
        if number not in listed and not exists(store, expiry_name(name, number)):
            kept.append(number)
        number -= 1
    expired = _mark(store, name, (n for n in range(1, number + 1) if n not in listed))
    return ExpireResult(dataset=name, expired=expired, kept=tuple(reversed(kept)))


def remove_dataset(store: ObjectStore, dataset: str) -> ExpireResult:
    """Give up every version of a dataset. A later ingest goes on with the next number, from nothing.

    Raises:
        UsageError: there is no such dataset.
    """
    name = _plain_name(store, dataset, "expire --keep gives up the oldest")
    highest = highest_number(store, name)
    if not highest:
        resolve_version(store, name)
    expired = _mark(store, name, range(1, highest + 1))
    if not expired:
        resolve_version(store, name)
    return ExpireResult(dataset=name, expired=expired, kept=())


def roll_back(store: ObjectStore, version: str) -> RollbackResult:
    """Commit a version equal to an older one, which may be expired, and its dataset removed. Nothing is rewritten.

    Args:
        version: ``pets@3``.

    Raises:
        UsageError: there is no such version.
        MissingObjects: ``gc`` has removed what it consists of; nothing was committed.
    """
    require_store(store)
    name, number = parse_dataset(version)
    if number is None:
        raise UsageError(f"{version} names no version; write it like {version}@3 (hapistore log {version} lists them)")
    require_commits(store)
    try:
        wanted = read_version(store, name, number)
    except NotFound:
        highest = highest_number(store, name)
        if not highest:
            resolve_version(store, name)
        raise UsageError(f"there is no {version}; the last is {name}@{highest}") from None
    _check_whole(store, wanted)
    newest = wanted

    def build(latest: DatasetVersion | None, next_number: int) -> DatasetVersion | None:
        nonlocal newest
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        same = latest and (latest.shards, latest.quarantine) == (wanted.shards, wanted.quarantine)
        newest = latest if same and latest else replace(wanted, number=next_number, created=created)
        return None if same else newest

    committed = commit_version(store, name, build)
    if committed is not None:
        _check_again(store, committed)
    return RollbackResult(version=newest, committed=committed is not None, source=number)


def _plain_name(store: ObjectStore, dataset: str, instead: str) -> str:
    require_store(store)
    name, number = parse_dataset(dataset)
    if number is not None:
        raise UsageError(f"{dataset} names one version, expected a dataset; {instead}")
    return name


def _mark(store: ObjectStore, dataset: str, numbers: Iterable[int]) -> tuple[int, ...]:
    """Create markers, the oldest version's first: stopped halfway, the newest versions are those that stay."""
    marked = []
    for number in numbers:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        try:
            store.create(expiry_name(dataset, number), Expiry(dataset=dataset, number=number, expired=now).serialise())
            marked.append(number)
        except AlreadyExists:
            continue  # it is given up already
    return tuple(marked)


def _check_whole(store: ObjectStore, version: DatasetVersion) -> None:
    """Everything there, of the right size and, where that copies nothing, young enough for ``gc`` to leave it alone."""
    missing = missing_objects(store, version_objects(version), renew_old=isinstance(store, LocalObjects))
    if missing:
        raise MissingObjects(missing)
    names = [images_name(shard.images, shard.layout) for shard in version.shards]
    infos = map_ahead(store.head, names, threads=_THREADS, ahead=_AHEAD, name="hapistore-look")
    for shard, info in zip(version.shards, infos, strict=True):
        if info.bytes != shard.bytes:
            raise HapistoreError(
                f"{info.name} has {info.bytes} bytes, {version.label} says {shard.bytes}; nothing was committed"
            )


def _check_again(store: ObjectStore, version: DatasetVersion) -> None:
    """In a bucket, ``gc`` may have removed objects of a version that was long expired between look and commit."""
    missing = missing_objects(store, version_objects(version))
    if missing:
        _mark(store, version.dataset, [version.number])
        raise MissingObjects(missing)
