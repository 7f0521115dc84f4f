"""What a version names, and making sure that it is there before and after a commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from hapistore_format import DatasetVersion

from ..errors import MissingObjects, NotFound
from ..stores import ObjectStore, renew
from ..threads import map_ahead
from .names import annotations_name, images_names, quarantine_name

_THREADS, _AHEAD = 8, 64
_ATTEMPTS = 5


def version_objects(version: DatasetVersion) -> Iterator[str]:
    """Every object that a version names, each once: image shards (a seal before its file), annotations, the report."""
    for images, layout in dict.fromkeys((shard.images, shard.layout) for shard in version.shards):
        yield from reversed(images_names(images, layout))
    yield from dict.fromkeys(annotations_name(shard.annotations) for shard in version.shards)
    if version.quarantine:
        yield quarantine_name(version.dataset, version.quarantine)


def new_objects(version: DatasetVersion, parent: DatasetVersion | None) -> list[str]:
    """Objects that a version names and its parent does not: nothing kept them before."""
    held = set(version_objects(parent)) if parent else set()
    return [name for name in version_objects(version) if name not in held]


def require_stored(
    store: ObjectStore,
    names: Iterable[str],
    *,
    rewrite: Callable[[Sequence[str]], None] | None = None,
    renew_old: bool = True,
) -> None:
    """Make sure that objects are there: called right before and right after a version that names them is committed.

    ``gc`` may have removed what a writer found and did not write, or what it wrote long ago. Objects older than
    ``RENEW_AFTER_S`` are made young, so that ``gc`` leaves them alone until the commit.

    Args:
        rewrite: given the names that are missing, stores them again; then all of those are looked for once more.
        renew_old: False: only look.

    Raises:
        MissingObjects: some are gone, and stay so.
    """
    missing = missing_objects(store, names, renew_old=renew_old)
    for _ in range(_ATTEMPTS):
        if not missing or rewrite is None:
            break
        rewrite(missing)
        missing = missing_objects(store, missing, renew_old=renew_old)
    if missing:
        raise MissingObjects(missing)


def missing_objects(store: ObjectStore, names: Iterable[str], *, renew_old: bool = False) -> list[str]:
    """Which of these are not in the store, in order."""

    def missing(name: str) -> str | None:
        try:
            if renew_old:
                renew(store, name)
            else:
                store.head(name)
            return None
        except NotFound:
            return name

    found = map_ahead(missing, names, threads=_THREADS, ahead=_AHEAD, name="hapistore-look")
    return [name for name in found if name is not None]
