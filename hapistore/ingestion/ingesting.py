"""The verb: read a source, write shards, commit a version."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

import pyarrow as pa

from hapistore_format import DatasetVersion, ImageRecord, ShardRef, file_digest, write_annotations, write_image_shard
from hapistore_format.sealed_arrow import MARKER_TEXT

from ..catalog import commit_version, ensure_marker, latest_version, parse_dataset
from ..catalog.names import annotations_name, images_name
from ..errors import AlreadyExists, HapistoreError, ImageError, UsageError
from ..stores import ObjectStore
from .merging import Merge, Row
from .quarantine import Quarantined, store_quarantine
from .reading import read_records
from .sources import Listing, Source


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        shard_bytes: a shard is closed before its images exceed this; 64 MiB is large enough for a link and
            small enough to repeat.
        on_error: ``quarantine`` reports unusable images and keeps the rest, ``fail`` stops at the first.
        threads: how many images are read and checked at once.
    """

    shard_bytes: int = 64 << 20
    on_error: str = "quarantine"
    threads: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))

    def __post_init__(self) -> None:
        if self.shard_bytes < 1 or self.threads < 1:
            raise UsageError("the shard size and the number of threads are at least 1")
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


class _Run:
    """One pass over the source, onto one parent version."""

    def __init__(self, store: ObjectStore, listing: Listing, options: IngestOptions, merge: Merge, name: str) -> None:
        self._store = store
        self._listing = listing
        self._options = options
        self._merge = merge
        self._schema = _with_dropped(merge.schema(listing.annotations.schema, name))
        self._records: list[ImageRecord] = []
        self._rows: list[Row] = []
        self._pending_bytes = 0
        self.new_shards: list[ShardRef] = []
        self.quarantined: list[Quarantined] = []
        self.images = self.bytes = self.written = self.present = 0

    def read(self, on_progress: Callable[[int, int], None] | None) -> None:
        """Read every image, and store those that the parent does not have."""
        total = len(self._listing.paths)
        rows = _iter_rows(self._listing.annotations)
        results = read_records(self._listing.paths, threads=self._options.threads)
        for done, (row, result) in enumerate(zip(rows, results, strict=True), 1):
            if isinstance(result, ImageError):
                self._reject(row["key"], result)
            else:
                self._accept(row, result)
            if on_progress:
                on_progress(done, total)
        self._close_shard()
        self._merge.check_restored()
        self.written += self._merge.restored
        if not self.images:
            first = self.quarantined[0]
            raise HapistoreError(
                f"none of the {total} images can be used, nothing was committed; "
                f"the first is {first.key}: {first.detail} [{first.reason}]"
            )

    def shards(self) -> list[ShardRef]:
        """Shards of the new version: the parent's, with changed annotations, then the new ones."""
        kept = [
            shard if rows is None else replace(shard, annotations=self._store_annotations(rows))
            for shard, rows in self._merge.kept()
        ]
        return kept + self.new_shards

    def _reject(self, key: str, error: ImageError) -> None:
        if self._options.on_error == "fail":
            raise HapistoreError(f"image {key}: {error.detail} [{error.reason}]; nothing was committed")
        self.quarantined.append(Quarantined(key=key, reason=error.reason, detail=error.detail))

    def _accept(self, row: Row, record: ImageRecord) -> None:
        self.images += 1
        self.bytes += len(record.image)
        if not self._merge.offer(row, record):
            return
        if self._records and self._pending_bytes + len(record.image) > self._options.shard_bytes:
            self._close_shard()
        self._records.append(record)
        self._rows.append({**row, "dropped": False})
        self._pending_bytes += len(record.image)

    def _close_shard(self) -> None:
        if not self._records:
            return
        digest, data = write_image_shard(self._records)
        try:
            self._store.create(images_name(digest), data)
            self.written += 1
        except AlreadyExists:
            self.present += 1
        annotations = self._store_annotations(self._rows)
        self.new_shards.append(
            ShardRef(images=digest, annotations=annotations, layout="arrow", rows=len(self._rows), bytes=len(data))
        )
        self._records, self._rows, self._pending_bytes = [], [], 0

    def _store_annotations(self, rows: list[Row]) -> str:
        data = write_annotations(pa.Table.from_pylist(rows, schema=self._schema))
        digest = file_digest(data)
        try:
            self._store.create(annotations_name(digest), data)
        except AlreadyExists:
            pass  # named by its bytes: what is there is this
        return digest


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
    _check_names(listing.annotations.schema)
    parent = latest_version(store, name)
    ensure_marker(store)
    while True:
        run = _Run(store, listing, options, Merge(store, parent), "the source")
        run.read(on_progress)
        version, raced = _commit(store, name, parent, run)
        if not raced:
            break
        parent = latest_version(store, name)  # another writer was first: merge with what it committed
    return IngestResult(
        version=version or _required(parent),
        committed=version is not None,
        images=run.images,
        bytes=run.bytes,
        shards_written=run.written,
        shards_present=run.present,
        quarantined=run.quarantined,
        ignored=listing.ignored,
        seconds=time.perf_counter() - started,
    )


def _commit(
    store: ObjectStore, name: str, parent: DatasetVersion | None, run: _Run
) -> tuple[DatasetVersion | None, bool]:
    """Commit what a run built; (version or None where nothing changed, whether another writer came first)."""
    shards = tuple(run.shards())
    quarantine = store_quarantine(store, name, run.quarantined) if run.quarantined else None
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
            quarantined=len(run.quarantined),
            quarantine=quarantine,
        )

    return commit_version(store, name, build), raced


def _required(version: DatasetVersion | None) -> DatasetVersion:
    if version is None:
        raise AssertionError("an ingest that changes nothing has a parent version")
    return version


def _with_dropped(schema: pa.Schema) -> pa.Schema:
    """Columns in the order the format wants: key, label, subset, dropped, then metadata."""
    fixed = [schema.field("key"), schema.field("label"), schema.field("subset"), pa.field("dropped", pa.bool_())]
    names = {field.name for field in fixed}
    return pa.schema(fixed + [field for field in schema if field.name not in names])


def _check_names(schema: pa.Schema) -> None:
    if MARKER_TEXT in str(schema):
        raise UsageError(f"a column's name contains {MARKER_TEXT!r}, which marks the end of stored files; rename it")


def _iter_rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()
