"""What a re-ingest changes: new keys are appended, changed images replaced, changed annotations rewritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hapistore_format import (
    AnnotationShard,
    DatasetVersion,
    ImageRecord,
    ShardRef,
    shard_digest,
)

from ..catalog import open_image_shard, store_image_shard
from ..catalog.names import annotations_name, images_names
from ..catalog.reading import read_object
from ..errors import HapistoreError, NotFound, UsageError
from ..stores import ObjectStore

Row = dict[str, Any]


@dataclass
class _Place:
    """Where the parent version has a key; the digest is None where its image shard is lost."""

    shard: int
    row: int
    digest: bytes | None


class Merge:
    """The parent version's records by key, and the changes that a source makes to them.

    A record that is not offered stays as it is: ingest adds, it does not mirror. An image shard that is
    not in the store any more (``verify --set-aside``) is put back once all of its records were offered.

    Attributes:
        restored: how many image shards were put back.
    """

    def __init__(self, store: ObjectStore, parent: DatasetVersion | None) -> None:
        self._store = store
        self._shards: list[ShardRef] = list(parent.shards) if parent else []
        self._lost: dict[int, dict[int, ImageRecord]] = {}
        self.restored = 0
        self._tables: list[pa.Table] = []
        self._rows: list[list[Row]] = []
        self._places: dict[str, _Place] = {}
        self._touched: set[int] = set()
        self._silent: set[str] = set()
        for number, shard in enumerate(self._shards):
            self._load(number, shard)

    def _load(self, number: int, shard: ShardRef) -> None:
        name = annotations_name(shard.annotations)
        table = read_object(self._store, name, AnnotationShard).table
        self._tables.append(table)
        self._rows.append(table.to_pylist())
        digests: list[bytes | None]
        try:
            digests = [*open_image_shard(self._store, shard).record_digests()]
        except NotFound:
            digests = [None] * shard.rows
            self._lost[number] = {}
        for row, (annotation, digest) in enumerate(zip(self._rows[-1], digests, strict=True)):
            if not annotation["dropped"]:
                self._places[annotation["key"]] = _Place(number, row, digest)

    def schema(self, listed: pa.Schema, source: str) -> pa.Schema:
        """Types of the new version's columns: the parent's and the source's together.

        Raises:
            UsageError: a column has another type in the parent; the message names it.
        """
        self._silent = {field.name for field in listed if pa.types.is_null(field.type)}
        fields = {field.name: field.type for field in listed}
        for table in self._tables:
            for field in table.schema:
                there = fields.setdefault(field.name, field.type)
                if pa.types.is_null(there) or _all_null(table, field.name):
                    fields[field.name] = field.type if pa.types.is_null(there) else there
                elif there != field.type and not pa.types.is_null(field.type):
                    raise UsageError(
                        f"column {field.name!r} of {source} has type {there}, in the dataset it has {field.type}; "
                        "make them equal, or ingest into another dataset"
                    )
        return pa.schema([(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in fields.items()])

    def offer(self, row: Row, record: ImageRecord) -> bool:
        """Take note of a record of the source; True where its image must be stored."""
        place = self._places.get(row["key"])
        if place is None:
            return True
        if place.shard in self._lost:
            self._restore(place, record)
        elif place.digest != record.digest:
            self._rows[place.shard][place.row]["dropped"] = True
            self._touched.add(place.shard)
            return True
        stored = self._rows[place.shard][place.row]
        said = {name: value for name, value in row.items() if name not in self._silent}
        if any(stored.get(name) != value for name, value in said.items()):
            stored.update(said)
            self._touched.add(place.shard)
        return False

    def check_restored(self) -> None:
        """Make sure that no shard of the new version is lost.

        Raises:
            HapistoreError: one is, and this source could not bring it back.
        """
        for number, records in self._lost.items():
            shard = self._shards[number]
            try:
                for name in images_names(shard.images, shard.layout):
                    self._store.head(name)
            except NotFound:
                raise HapistoreError(
                    f"{name} is lost and this source cannot bring it back: it has {len(records)} of its {shard.rows} "
                    "images, or they changed; ingest the source it came from, as it was, or into another dataset"
                ) from None

    def _restore(self, place: _Place, record: ImageRecord) -> None:
        """Keep a record of a lost shard; put the shard back when it was the last."""
        records, shard = self._lost[place.shard], self._shards[place.shard]
        records[place.row] = record
        if len(records) < shard.rows:
            return
        ordered = [records[row] for row in range(shard.rows)]
        if shard_digest(record.digest for record in ordered) != shard.images:
            return
        if store_image_shard(self._store, ordered, shard.layout).written:  # else another writer brought it back
            self.restored += 1
        del self._lost[place.shard]

    def kept(self) -> list[tuple[ShardRef, list[Row] | None]]:
        """The parent's shards in order, each with its new annotation rows where they changed."""
        return [
            (shard, self._rows[number] if number in self._touched else None)
            for number, shard in enumerate(self._shards)
        ]


def _all_null(table: pa.Table, name: str) -> bool:
    return bool(table[name].null_count == table.num_rows)
