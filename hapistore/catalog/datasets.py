"""Datasets and their versions. A version is committed by creating its file if absent; expired ones are not opened."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from hapistore_format import DatasetVersion, Expiry
from hapistore_format.version import MAX_NUMBER, is_dataset_name

from ..errors import AlreadyExists, NotFound, UsageError
from ..stores import ObjectStore, exists
from .names import DATASETS, expiry_name, parse_name, version_name
from .reading import read_object


def parse_dataset(text: str) -> tuple[str, int | None]:
    """``pets`` or ``pets@7`` as name and version number.

    Raises:
        UsageError: it is neither.
    """
    name, at, number = text.partition("@")
    if not is_dataset_name(name):
        raise UsageError(
            f"{name!r} is no dataset name: use lower-case letters, digits, dots, dashes, underscores, at most 100"
        )
    if at and not (number.isascii() and number.isdigit() and 1 <= int(number) <= MAX_NUMBER):
        raise UsageError(f"{text!r} names no version; write it like {name}@7")
    return name, int(number) if at else None


def open_version(store: ObjectStore, dataset: str, number: int) -> DatasetVersion:
    """Read one version that is not expired.

    Raises:
        NotFound: there is no such version.
        UsageError: it is expired.
        FormatError: its file is damaged or of a later format.
    """
    version = read_version(store, dataset, number)
    expiry = find_expiry(store, dataset, number)
    if expiry is not None:
        raise UsageError(
            f"{version.label} expired on {expiry.expired}; hapistore rollback {version.label} restores it "
            "until gc removes its images"
        )
    return version


def read_version(store: ObjectStore, dataset: str, number: int) -> DatasetVersion:
    """Read one version, expired or not.

    Raises:
        NotFound: there is no such version.
        FormatError: its file is damaged or of a later format.
    """
    name = version_name(dataset, number)
    version = read_object(store, name, DatasetVersion.parse)
    if (version.dataset, version.number) != (dataset, number):
        raise UsageError(f"{name} holds {version.label}: objects of the store were renamed; restore its name")
    return version


def find_expiry(store: ObjectStore, dataset: str, number: int) -> Expiry | None:
    """When a version expired; None where it did not.

    Raises:
        FormatError: its marker is damaged or of a later format.
    """
    name = expiry_name(dataset, number)
    try:
        expiry = read_object(store, name, Expiry.parse)
    except NotFound:
        return None
    if (expiry.dataset, expiry.number) != (dataset, number):
        raise UsageError(f"{name} is of {expiry.dataset}@{expiry.number}: objects were renamed; restore its name")
    return expiry


def highest_number(store: ObjectStore, dataset: str) -> int:
    """The highest version number that a dataset ever had, expired ones included; 0 where it never had one.

    Found by probing numbers, doubling then halving: a listing may lag behind.
    """
    if not _exists(store, dataset, 1):
        return 0
    low, high = 1, 2
    while _exists(store, dataset, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _exists(store, dataset, middle) else (low, middle)
    return low


def latest_version(store: ObjectStore, dataset: str) -> DatasetVersion | None:
    """The newest version that is not expired, or None where the dataset has none."""
    return _latest_up_to(store, dataset, highest_number(store, dataset))


def _latest_up_to(store: ObjectStore, dataset: str, highest: int) -> DatasetVersion | None:
    listed: set[int] | None = None
    for number in range(highest, 0, -1):
        if listed is not None and number in listed:  # markers are never removed: what is listed is so
            continue
        if not exists(store, expiry_name(dataset, number)):
            return read_version(store, dataset, number)
        listed = expired_numbers(store, dataset) if listed is None else listed
    return None


def expired_numbers(store: ObjectStore, dataset: str) -> set[int]:
    """Numbers of expired versions, as far as the store's listing knows them."""
    prefix = expiry_name(dataset, 1).rpartition("/")[0] + "/"
    parsed = (parse_name(info.name) for info in store.list(prefix))
    return {int(p.parts["number"]) for p in parsed if p}


def resolve_version(store: ObjectStore, text: str) -> DatasetVersion:
    """The version that ``pets`` (the newest) or ``pets@7`` names.

    Raises:
        UsageError: there is none, or it is expired; the message says what there is.
    """
    dataset, number = parse_dataset(text)
    highest = highest_number(store, dataset)
    if not highest:
        raise UsageError(f"there is no dataset {dataset!r} in {store.url}; {_what_there_is(store, dataset)}")
    newest = _latest_up_to(store, dataset, highest)
    if number is not None and not (newest and number == newest.number):
        try:
            return open_version(store, dataset, number)
        except NotFound:
            last = f"the newest is {newest.label}" if newest else f"the last was {dataset}@{highest}, which is removed"
            raise UsageError(f"there is no {dataset}@{number}; {last}") from None
    if newest is None:
        expiry = find_expiry(store, dataset, highest)
        raise UsageError(
            f"{dataset} was removed{f' on {expiry.expired}' if expiry else ''}; hapistore rollback {dataset}@{highest} "
            "brings it back until gc removes its images"
        )
    return newest


def _what_there_is(store: ObjectStore, dataset: str) -> str:
    names = dataset_names(store)
    near = difflib.get_close_matches(dataset, names, n=1)
    return f"did you mean {near[0]}?" if near else f"there is {', '.join(names) or 'none'}"


def dataset_names(store: ObjectStore) -> list[str]:
    """Names of all datasets that have a version, sorted. Removed ones have none."""
    live: dict[str, set[int]] = {}
    expired: dict[str, set[int]] = {}
    for info in store.list(DATASETS):
        parsed = parse_name(info.name)
        if parsed and parsed.kind in ("version", "expiry"):
            numbers = live if parsed.kind == "version" else expired
            numbers.setdefault(parsed.parts["dataset"], set()).add(int(parsed.parts["number"]))
    return sorted(name for name, numbers in live.items() if numbers - expired.get(name, set()))


def require_commits(store: ObjectStore) -> None:
    """Refuse to work for a version that could be lost: where several creators of one name can win.

    Raises:
        UsageError: this store is like that, and nobody has vouched for being the only writer.
        StoreError: it cannot be reached.
    """
    if not store.capabilities.atomic_create:
        raise UsageError(
            f"{store.url} lets several writers create one object, so a version could be overwritten; if nothing else "
            "writes to this store, say so with --single-writer (open_store(url, sole_writer=True))"
        )


def commit_version(
    store: ObjectStore, dataset: str, build: Callable[[DatasetVersion | None, int], DatasetVersion | None]
) -> DatasetVersion | None:
    """Commit the next version; a writer who loses the race builds again on the winner's.

    Args:
        build: given the newest version that is not expired (or None) and the next number, which need not follow the
            newest's, returns the version to commit, or None where the newest says it all.

    Returns:
        The version committed, or None.
    """
    while True:
        highest = highest_number(store, dataset)
        version = build(_latest_up_to(store, dataset, highest), highest + 1)
        if version is None:
            return None
        try:
            store.create(version_name(dataset, highest + 1), version.serialise())
            return version
        except AlreadyExists:
            continue


def _exists(store: ObjectStore, dataset: str, number: int) -> bool:
    return exists(store, version_name(dataset, number))
