"""The verb: a dataset with its features, from one store to another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from hapistore_format import DatasetVersion

from ..errors import NotFound, UsageError
from ..stores import ObjectStore, ensure, exists, renew
from ..threads import map_ahead
from .datasets import commit_version, require_commits, resolve_version
from .inventory import dataset_features
from .marker import ensure_marker, require_store
from .names import features_name, recipe_name, weights_name
from .references import new_objects, require_stored, version_objects
from .verifying import read_verified

_THREADS, _AHEAD = 4, 4


@dataclass(frozen=True, kw_only=True)
class CopyResult:
    """What a copy did.

    Attributes:
        version: the target's newest version; ``committed`` says whether this copy made it.
        objects, bytes: copied now; present: objects that were there.
    """

    version: DatasetVersion
    committed: bool
    objects: int
    bytes: int
    present: int
    seconds: float


def copy_dataset(
    source: ObjectStore, target: ObjectStore, dataset: str, *, on_progress: Callable[[int, int], None] | None = None
) -> CopyResult:
    """Copy one version of a dataset, and all features there are of it, to another store.

    Each object is checked when it is read; what the target has already is not sent again, so a stopped copy
    continues. The target's dataset gets a version that lists the same image shards, after all they consist of.
    Expiry markers are not copied: an expired version is not opened.

    Args:
        dataset: ``pets`` (its newest version) or ``pets@7``.
        on_progress: called with (objects done, objects in all).

    Raises:
        UsageError: there is no such store or dataset, or the target cannot commit.
        FormatError: an object of the source is damaged; nothing was committed.
    """
    started = time.perf_counter()
    if source.url == target.url:
        raise UsageError(f"{source.url} is both source and target")
    require_store(source)
    version = resolve_version(source, dataset)
    require_commits(target)
    ensure_marker(target)
    names = list(dict.fromkeys(_objects_of(source, version)))
    sizes = map_ahead(lambda n: _copy(source, target, n), names, threads=_THREADS, ahead=_AHEAD, name="hapistore-copy")
    copied: list[int] = []
    for done, size in enumerate(sizes, 1):
        copied += [] if size is None else [size]
        if on_progress:
            on_progress(done, len(names))
    committed = _commit(source, target, version)
    return CopyResult(
        version=committed or resolve_version(target, version.dataset),
        committed=committed is not None,
        objects=len(copied),
        bytes=sum(copied),
        present=len(names) - len(copied),
        seconds=time.perf_counter() - started,
    )


def _commit(source: ObjectStore, target: ObjectStore, version: DatasetVersion) -> DatasetVersion | None:
    """Commit the version to the target unless its newest lists the same; gc of the target may come between."""
    new: list[str] = []

    def copy_again(names: Sequence[str]) -> None:
        for name in names:
            _copy(source, target, name)

    def build(newest: DatasetVersion | None, number: int) -> DatasetVersion | None:
        if newest is not None and newest.shards == version.shards:
            return None
        new[:] = new_objects(version, newest)
        require_stored(target, new, rewrite=copy_again)
        return replace(version, number=number)

    committed = commit_version(target, version.dataset, build)
    if committed:
        require_stored(target, new, rewrite=copy_again)
    return committed


def _objects_of(store: ObjectStore, version: DatasetVersion) -> Iterator[str]:
    """All that a version needs, each before what needs it."""
    yield from version_objects(version)
    for summary in dataset_features(store, version):
        yield weights_name(summary.recipe.weights)
        yield recipe_name(summary.recipe.digest)
        names = (features_name(summary.recipe.digest, summary.codec, shard.images) for shard in version.shards)
        yield from (name for name in names if summary.complete or exists(store, name))


def _copy(source: ObjectStore, target: ObjectStore, name: str) -> int | None:
    """Copy an object unless it is there; returns how many bytes went."""
    try:
        renew(target, name)
        return None
    except NotFound:
        pass
    data = read_verified(source, name)
    return len(data) if ensure(target, name, data) else None
