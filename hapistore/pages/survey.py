"""What a dataset version holds, by label and subset, from its annotations alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hapistore_format import AnnotationShard, DatasetVersion

from ..catalog.names import annotations_name
from ..catalog.reading import read_object
from ..stores import ObjectStore
from ..threads import map_ahead

_THREADS, _AHEAD = 8, 16
Label = str | None


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """One label: how many images have it, how many of each subset, and how many in each shard that has any."""

    label: Label
    images: int
    subsets: dict[str | None, int]
    shards: dict[int, int]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Counts over the images that are not dropped.

    Attributes:
        labels: the largest ones, by count, then by name.
        others: labels beside those, as (label, images): the next ones in the same order; ``num_labels`` counts all.
    """

    images: int
    dropped: int
    subsets: dict[str | None, int]
    labels: list[LabelCount]
    others: list[tuple[Label, int]]
    num_labels: int


def survey(store: ObjectStore, version: DatasetVersion, *, labels: int, others: int) -> Survey:
    """Count a version's images.

    Args:
        labels: how many labels are counted shard by shard; others: how many more are named.

    Raises:
        FormatError, NotFound: annotations are damaged, or gone.
    """
    counts = pa.concat_tables(_count_shards(store, version))
    totals = counts.group_by("label").aggregate([("images", "sum")]).rename_columns(["label", "images"])
    totals = totals.sort_by([("images", "descending"), ("label", "ascending")])
    names: list[Label] = totals["label"].slice(0, labels + others).to_pylist()
    sums: list[int] = totals["images"].slice(0, labels + others).to_pylist()
    images = int(pc.sum(counts["images"]).as_py() or 0)
    return Survey(
        images=images,
        dropped=version.rows - images,
        subsets=_by(counts, "subset"),
        labels=[_label_count(counts, name) for name in names[:labels]],
        others=list(zip(names, sums, strict=True))[labels:],
        num_labels=totals.num_rows,
    )


def live_rows(store: ObjectStore, version: DatasetVersion, shard: int) -> pa.Table:
    """A shard's rows that are not dropped: ``row``, ``key``, ``label`` as text, ``subset``."""
    table = read_object(store, annotations_name(version.shards[shard].annotations), AnnotationShard).table
    columns = {
        "row": pa.array(range(table.num_rows), pa.int64()),
        "key": table["key"],
        "label": table["label"].cast(pa.string()),
        "subset": table["subset"].cast(pa.string()),
    }
    return pa.table(columns).filter(pc.invert(table["dropped"]))


def _count_shards(store: ObjectStore, version: DatasetVersion) -> Iterator[pa.Table]:
    """For each shard: label, subset, images, shard."""

    def count(shard: int) -> pa.Table:
        groups = live_rows(store, version, shard).group_by(["label", "subset"]).aggregate([([], "count_all")])
        counted = groups.select(["label", "subset", "count_all"]).rename_columns(["label", "subset", "images"])
        return counted.append_column("shard", pa.array([shard] * counted.num_rows, pa.int64()))

    return map_ahead(count, range(len(version.shards)), threads=_THREADS, ahead=_AHEAD, name="hapistore-peek")


def _label_count(counts: pa.Table, label: Label) -> LabelCount:
    same = pc.is_null(counts["label"]) if label is None else pc.equal(counts["label"], label)
    chosen = counts.filter(same)
    shards = _by(chosen, "shard")
    return LabelCount(label=label, images=sum(shards.values()), subsets=_by(chosen, "subset"), shards=shards)


def _by(counts: pa.Table, column: str) -> dict[Any, int]:
    """Images by the values of a column, in the order of the values, none last."""
    groups = counts.group_by(column).aggregate([("images", "sum")]).sort_by([(column, "ascending")])
    return dict(zip(groups[column].to_pylist(), groups["images_sum"].to_pylist(), strict=True))
