"""One pass over a source: images into shards, annotations beside them, the rest into quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa

from hapistore_format import ImageRecord, ShardRef, file_digest, write_annotations
from hapistore_format.sealed_arrow import MARKER_TEXT

from ..catalog import store_image_shard
from ..catalog.names import annotations_name
from ..errors import HapistoreError, ImageError, UsageError
from ..stores import ObjectStore, ensure
from .merging import Merge, Row
from .quarantine import Quarantined
from .reading import read_records
from .sources import Listing


class VersionBuild:
    """One pass over a source, onto one parent version: what it stores, and what the version will list.

    Args:
        layout: of new image shards.
        strict: stop at the first image that cannot be used, instead of leaving it out.

    Attributes:
        images, bytes: usable images, and their size; quarantined: the others.
        written, present: image shards stored by this pass, and those that were there.
    """

    def __init__(
        self, store: ObjectStore, listing: Listing, merge: Merge, *, shard_bytes: int, layout: str, strict: bool
    ) -> None:
        self._store = store
        chunks = list(listing.chunks)
        self._annotations = pa.concat_tables([chunk.annotations for chunk in chunks], promote_options="default")
        self._images = [image for chunk in chunks for image in chunk.images]
        self._merge = merge
        self._shard_bytes = shard_bytes
        self._layout = layout
        self._strict = strict
        _check_names(self._annotations.schema)
        self._schema = _with_dropped(merge.schema(self._annotations.schema, "the source"))
        self._records: list[ImageRecord] = []
        self._rows: list[Row] = []
        self._pending_bytes = 0
        self.new_shards: list[ShardRef] = []
        self.quarantined: list[Quarantined] = []
        self.images = self.bytes = self.written = self.present = 0

    def read(self, *, threads: int, on_progress: Callable[[int, int], None] | None) -> None:
        """Read every image, and store those that the parent does not have.

        Raises:
            HapistoreError: no image can be used, or one cannot and the pass is strict.
        """
        total = len(self._images)
        rows = _iter_rows(self._annotations)
        results = read_records(self._images, threads=threads)
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
        if self._strict:
            raise HapistoreError(f"image {key}: {error.detail} [{error.reason}]; nothing was committed")
        self.quarantined.append(Quarantined(key=key, reason=error.reason, detail=error.detail))

    def _accept(self, row: Row, record: ImageRecord) -> None:
        self.images += 1
        self.bytes += len(record.image)
        if not self._merge.offer(row, record):
            return
        if self._records and self._pending_bytes + len(record.image) > self._shard_bytes:
            self._close_shard()
        self._records.append(record)
        self._rows.append({**row, "dropped": False})
        self._pending_bytes += len(record.image)

    def _close_shard(self) -> None:
        if not self._records:
            return
        stored = store_image_shard(self._store, self._records, self._layout)
        self.written += stored.written
        self.present += not stored.written
        self.new_shards.append(
            ShardRef(
                images=stored.digest,
                annotations=self._store_annotations(self._rows),
                layout=self._layout,
                rows=len(self._rows),
                bytes=stored.bytes,
            )
        )
        self._records, self._rows, self._pending_bytes = [], [], 0

    def _store_annotations(self, rows: list[Row]) -> str:
        data = write_annotations(pa.Table.from_pylist(rows, schema=self._schema))
        digest = file_digest(data)
        ensure(self._store, annotations_name(digest), data)
        return digest


def _check_names(schema: pa.Schema) -> None:
    if MARKER_TEXT in str(schema):
        raise UsageError(f"a column's name contains {MARKER_TEXT!r}, which marks the end of stored files; rename it")


def _with_dropped(schema: pa.Schema) -> pa.Schema:
    """Columns in the order the format wants: key, label, subset, dropped, then metadata."""
    fixed = [schema.field("key"), schema.field("label"), schema.field("subset"), pa.field("dropped", pa.bool_())]
    names = {field.name for field in fixed}
    return pa.schema(fixed + [field for field in schema if field.name not in names])


def _iter_rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()
