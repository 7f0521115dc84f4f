"""Datasets and their versions. A version is committed by creating its file if absent."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from hapistore_format import DatasetVersion
from hapistore_format.version import MAX_NUMBER, is_dataset_name

from ..errors import AlreadyExists, NotFound, UsageError
from ..stores import ObjectStore, exists
from .names import DATASETS, parse_name, version_name
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
    """Read one version.

    Raises:
        NotFound: there is no such version.
        FormatError: its file is damaged or of a later format.
    """
    name = version_name(dataset, number)
    version = read_object(store, name, DatasetVersion.parse)
    if (version.dataset, version.number) != (dataset, number):
        raise UsageError(f"{name} holds {version.label}: objects of the store were renamed; restore its name")
    return version


def latest_version(store: ObjectStore, dataset: str) -> DatasetVersion | None:
    """The newest version, or None where the dataset has none.

    Found by probing numbers, doubling then halving: a listing may lag behind.
    """
    if not _exists(store, dataset, 1):
        return None
    low, high = 1, 2
    while _exists(store, dataset, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _exists(store, dataset, middle) else (low, middle)
    return open_version(store, dataset, low)


def resolve_version(store: ObjectStore, text: str) -> DatasetVersion:
    """The version that ``pets`` (the newest) or ``pets@7`` names.

    Raises:
        UsageError: there is none; the message says what there is.
    """
    dataset, number = parse_dataset(text)
    newest = latest_version(store, dataset)
    if newest is None:
        names = dataset_names(store)
        near = difflib.get_close_matches(dataset, names, n=1)
        there = f"did you mean {near[0]}?" if near else f"there is {', '.join(names) or 'none'}"
        raise UsageError(f"there is no dataset {dataset!r} in {store.url}; {there}")
    if number is None or number == newest.number:
        return newest
    try:
        return open_version(store, dataset, number)
    except NotFound:
        raise UsageError(f"there is no {dataset}@{number}; the newest is {newest.label}") from None


def dataset_names(store: ObjectStore) -> list[str]:
    """Names of all datasets, sorted."""
    names = {parsed.parts["dataset"] for info in store.list(DATASETS) if (parsed := parse_name(info.name))}
    return sorted(names)


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
        build: given the newest version (or None) and the next number, returns the version to commit,
            or None where the newest says it all.

    Returns:
        The version committed, or None.
    """
    while True:
        newest = latest_version(store, dataset)
        number = newest.number + 1 if newest else 1
        version = build(newest, number)
        if version is None:
            return None
        try:
            store.create(version_name(dataset, number), version.serialise())
            return version
        except AlreadyExists:
            continue


def _exists(store: ObjectStore, dataset: str, number: int) -> bool:
    return exists(store, version_name(dataset, number))
