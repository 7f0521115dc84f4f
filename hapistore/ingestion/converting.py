"""The verb: the same images in the other layout, as a new version."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hapistore_format import LAYOUTS, DatasetVersion, ShardRef

from ..catalog import (
    open_image_shard,
    parse_dataset,
    require_commits,
    require_store,
    resolve_version,
    store_image_shard,
)
from ..catalog.names import images_name
from ..errors import HapistoreError, NotFound, UsageError
from ..stores import ObjectStore
from .committing import commit_shards


@dataclass(frozen=True, kw_only=True)
class ConvertResult:
    """What a conversion did.

    Attributes:
        version: the dataset's newest version; ``committed`` says whether this conversion made it.
        converted, present: image shards written in the layout, and those that had it or were there already.
        images: rows of the shards written.
    """

    version: DatasetVersion
    committed: bool
    converted: int
    present: int
    images: int
    seconds: float


def convert(
    store: ObjectStore, dataset: str, *, layout: str, on_progress: Callable[[int, int], None] | None = None
) -> ConvertResult:
    """Write a dataset's image shards in another layout, and commit a version that lists those.

    A shard's digest is of its images and not of its file: annotations are untouched and every feature stays valid.
    Older versions keep their shards. Stopped at any moment, the next run does only what is missing.

    Args:
        dataset: its name.
        layout: ``arrow`` or ``lmdb``.
        on_progress: called with (images done, images in all).

    Raises:
        UsageError: there is no such store, dataset or layout; nothing was written.
        FormatError: an image shard is not as it was written; nothing was committed.
    """
    started = time.perf_counter()
    if layout not in LAYOUTS:
        raise UsageError(f"layout is {layout!r}, expected {' or '.join(LAYOUTS)}")
    name, number = parse_dataset(dataset)
    if number is not None:
        raise UsageError(f"{dataset} names a version, which never changes; convert {name}")
    require_store(store)
    require_commits(store)
    parent = resolve_version(store, name)
    converter = _Converter(store, layout)
    while True:
        shards = converter.convert(parent, on_progress)
        version, raced = commit_shards(store, parent, shards, rewrite=partial(converter.write_again, parent))
        if not raced:
            break
        parent = resolve_version(store, name)  # another writer was first: convert what it committed
    return ConvertResult(
        version=version or parent,
        committed=version is not None,
        converted=converter.converted,
        present=len(shards) - converter.converted,
        images=converter.images,
        seconds=time.perf_counter() - started,
    )


class _Converter:
    def __init__(self, store: ObjectStore, layout: str) -> None:
        self._store, self._layout = store, layout
        self._sizes: dict[str, int] = {}
        self.converted = self.images = 0

    def convert(self, version: DatasetVersion, on_progress: Callable[[int, int], None] | None) -> tuple[ShardRef, ...]:
        """The version's shards as they are listed in the layout, all of them stored."""
        shards, done = [], 0
        for shard in version.shards:
            shards.append(shard if shard.layout == self._layout else self._other(shard))
            done += shard.rows
            if on_progress:
                on_progress(done, version.rows)
        return tuple(shards)

    def write_again(self, version: DatasetVersion, names: Sequence[str]) -> None:
        """Write what is missing of a version that was converted; ``gc`` may have removed what it found."""
        self._sizes.clear()
        self.convert(version, None)

    def _other(self, shard: ShardRef) -> ShardRef:
        if shard.images not in self._sizes:
            self._sizes[shard.images] = self._size_there(shard) or self._write(shard)
        return replace(shard, layout=self._layout, bytes=self._sizes[shard.images])

    def _size_there(self, shard: ShardRef) -> int | None:
        """Size of the shard in the layout, where it is stored, and whole."""
        try:
            open_image_shard(self._store, replace(shard, layout=self._layout))
            return self._store.head(images_name(shard.images, self._layout)).bytes
        except NotFound:
            return None

    def _write(self, shard: ShardRef) -> int:
        reader = open_image_shard(self._store, shard)
        reader.check_digests()
        stored = store_image_shard(self._store, list(reader.records()), self._layout)
        if stored.digest != shard.images:
            raise HapistoreError(f"{reader.where} holds image shard {stored.digest[:12]}; nothing was committed")
        self.converted += 1
        self.images += shard.rows
        return stored.bytes
