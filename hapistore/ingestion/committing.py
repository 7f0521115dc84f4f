"""Committing a version whose shards are those of its parent, changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from hapistore_format import DatasetVersion, ShardRef

from ..catalog import commit_version, new_objects, require_stored
from ..stores import ObjectStore


def commit_shards(
    store: ObjectStore,
    parent: DatasetVersion,
    shards: tuple[ShardRef, ...],
    *,
    rewrite: Callable[[Sequence[str]], None],
) -> tuple[DatasetVersion | None, bool]:
    """Commit shards as the version that follows ``parent``.

    Args:
        rewrite: given names of new objects that ``gc`` has removed, stores them again.

    Returns:
        The version, or None where nothing changed or another writer came first; and whether one did.

    Raises:
        MissingObjects: new objects are gone, and stay so.
    """
    raced = False
    new: list[str] = []

    def build(newest: DatasetVersion | None, number: int) -> DatasetVersion | None:
        nonlocal raced
        raced = newest is None or newest.number != parent.number
        if raced or parent.shards == shards:
            return None
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        version = replace(parent, number=number, created=created, shards=shards)
        new[:] = new_objects(version, parent)
        require_stored(store, new, rewrite=rewrite)
        return version

    committed = commit_version(store, parent.dataset, build)
    if committed:
        require_stored(store, new, rewrite=rewrite)
    return committed, raced
