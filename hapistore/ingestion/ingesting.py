"""The verb: read a source, write shards, commit a version."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from hapistore_format import LAYOUTS, DatasetVersion

from ..catalog import commit_version, ensure_marker, latest_version, parse_dataset, require_commits
from ..errors import UsageError
from ..stores import ObjectStore
from .building import VersionBuild
from .merging import Merge
from .quarantine import Quarantined, store_quarantine
from .sources import Source


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        shard_bytes: a shard is closed before its images exceed this; 64 MiB is large enough for a link and
            small enough to repeat.
        layout: of new image shards: ``arrow`` streams and is read by any Arrow tool, ``lmdb`` is memory-mapped by
            its key; `hapistore convert` changes it later.
        on_error: ``quarantine`` reports unusable images and keeps the rest, ``fail`` stops at the first.
        threads: how many images are read and checked at once.
    """

    shard_bytes: int = 64 << 20
    layout: str = "arrow"
    on_error: str = "quarantine"
    threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))

    def __post_init__(self) -> None:
        if self.shard_bytes < 1 or self.threads < 1:
            raise UsageError("the shard size and the number of threads are at least 1")
        if self.layout not in LAYOUTS:
            raise UsageError(f"layout is {self.layout!r}, expected {' or '.join(LAYOUTS)}")
        if self.on_error not in ("quarantine", "fail"):
            raise UsageError(f"on_error is {self.on_error!r}, expected quarantine or fail")


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """What an ingest did.

    Attributes:
        version: the dataset's newest version; ``committed`` says whether this ingest made it.
        images, bytes: usable images of the source, and their size.
        shards_written, shards_present: image shards that were stored (lost ones that the source brought back
            included), and new ones that were there already.
        ignored: files of the source that were passed over, by reason.
    """

    version: DatasetVersion
    committed: bool
    images: int
    bytes: int
    shards_written: int
    shards_present: int
    quarantined: list[Quarantined]
    ignored: dict[str, int]
    seconds: float


def ingest(
    store: ObjectStore,
    dataset: str,
    source: Source,
    options: IngestOptions | None = None,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestResult:
    """Add a source's images to a dataset, as a new version.

    The same source again adds nothing; new keys are appended, changed images and annotations replaced.
    Shards are written first and the version last, so a crash leaves no half dataset, and a re-run
    finds what arrived.

    Args:
        dataset: its name; made where there is none.
        on_progress: called with (images done, images in all).

    Raises:
        UsageError: the source or the name cannot be used; nothing was written.
        HapistoreError: no image can be used, or one cannot and ``on_error`` is ``fail``; nothing was committed.
    """
    started = time.perf_counter()
    options = options or IngestOptions()
    name, number = parse_dataset(dataset)
    if number is not None:
        raise UsageError(f"{dataset} names a version, which never changes; ingest into {name}")
    listing = source.listing()
    require_commits(store)
    parent = latest_version(store, name)
    while True:
        build = VersionBuild(
            store,
            listing,
            Merge(store, parent),
            shard_bytes=options.shard_bytes,
            layout=options.layout,
            strict=options.on_error == "fail",
        )
        ensure_marker(store)
        build.read(threads=options.threads, on_progress=on_progress)
        version, raced = _commit(store, name, parent, build)
        if not raced:
            break
        listing = source.listing()
        parent = latest_version(store, name)  # another writer was first: merge with what it committed
    return IngestResult(
        version=version or _required(parent),
        committed=version is not None,
        images=build.images,
        bytes=build.bytes,
        shards_written=build.written,
        shards_present=build.present,
        quarantined=build.quarantined,
        ignored=listing.ignored,
        seconds=time.perf_counter() - started,
    )


def _commit(
    store: ObjectStore, name: str, parent: DatasetVersion | None, built: VersionBuild
) -> tuple[DatasetVersion | None, bool]:
    """Commit what a pass built; (version or None where nothing changed, whether another writer came first)."""
    shards = tuple(built.shards())
    quarantine = store_quarantine(store, name, built.quarantined) if built.quarantined else None
    raced = False

    def build(newest: DatasetVersion | None, number: int) -> DatasetVersion | None:
        nonlocal raced
        raced = (newest.number if newest else 0) != (parent.number if parent else 0)
        if raced or (newest and newest.shards == shards):
            return None
        return DatasetVersion(
            dataset=name,
            number=number,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            shards=shards,
            quarantined=len(built.quarantined),
            quarantine=quarantine,
        )

    return commit_version(store, name, build), raced


def _required(version: DatasetVersion | None) -> DatasetVersion:
    if version is None:
        raise AssertionError("an ingest that changes nothing has a parent version")
    return version
