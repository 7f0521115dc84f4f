"""What a re-ingest changes: new keys are appended, changed images replaced, changed annotations rewritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from hapistore_format import AnnotationShard, DatasetVersion, ImageShardReader, ShardRef

from ..catalog.names import annotations_name, images_name
from ..errors import UsageError
from ..stores import ObjectStore

Row = dict[str, Any]


@dataclass
class _Place:
    """Where the parent version has a key."""

    shard: int
    row: int
    digest: bytes


class Merge:
    """The parent version's records by key, and the changes that a source makes to them.

    A record that is not offered stays as it is: ingest adds, it does not mirror.
    """

    def __init__(self, store: ObjectStore, parent: DatasetVersion | None) -> None:
        self._shards: list[ShardRef] = list(parent.shards) if parent else []
        self._tables: list[pa.Table] = []
        self._rows: list[list[Row]] = []
        self._places: dict[str, _Place] = {}
        self._touched: set[int] = set()
        for number, shard in enumerate(self._shards):
            self._load(store, number, shard)

    def _load(self, store: ObjectStore, number: int, shard: ShardRef) -> None:
        name = annotations_name(shard.annotations)
        table = AnnotationShard(store.get(name), where=name).table
        self._tables.append(table)
        self._rows.append(table.to_pylist())
        name = images_name(shard.images, shard.layout)
        digests = ImageShardReader(store.get(name), where=name).record_digests()
        for row, (annotation, digest) in enumerate(zip(self._rows[-1], digests, strict=True)):
            if not annotation["dropped"]:
                self._places[annotation["key"]] = _Place(number, row, digest)

    def schema(self, listed: pa.Schema, source: str) -> pa.Schema:
        """Types of the new version's columns: the parent's and the source's together.

        Raises:
            UsageError: a column has another type in the parent; the message names it.
        """
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
        return pa.schema(list(fields.items()))

    def offer(self, row: Row, digest: bytes) -> bool:
        """Take note of a record of the source; True where its image must be stored."""
        place = self._places.get(row["key"])
        if place is None:
            return True
        if place.digest != digest:
            self._rows[place.shard][place.row]["dropped"] = True
            self._touched.add(place.shard)
            return True
        stored = self._rows[place.shard][place.row]
        if any(stored.get(name) != value for name, value in row.items()):
            stored.update(row)
            self._touched.add(place.shard)
        return False

    def kept(self) -> list[tuple[ShardRef, list[Row] | None]]:
        """The parent's shards in order, each with its new annotation rows where they changed."""
        return [
            (shard, self._rows[number] if number in self._touched else None)
            for number, shard in enumerate(self._shards)
        ]


def _all_null(table: pa.Table, name: str) -> bool:
    return bool(table[name].null_count == table.num_rows)
