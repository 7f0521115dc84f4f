"""Valid image shards and annotations."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from second.annotations import write_annotations
from second.documents import file_seal
from second.images import Record, shard_digest, write_images
from second.images_lmdb import entries_of, write_lmdb
from second.sealed_json import write_sealed_json

from .entries import Corpus, digest_of
from .pictures import bmp_record, png_record, some_records


def add_shards(corpus: Corpus) -> None:
    add_images(corpus)
    add_lmdb(corpus)
    add_annotations(corpus)


def add_images(corpus: Corpus) -> None:
    records = some_records()
    name = f"images/{shard_digest(records)}.arrow"
    corpus.valid("images.arrow", name, write_images(records, [3]), "one block")
    corpus.valid("images-blocks.arrow", name, write_images(records, [1, 3]), "the same shard in two blocks")
    data = write_images(records, [3], later=1, requires=[])
    corpus.valid("images-unknown-members.arrow", name, data, "unknown members, nothing required")
    one = [png_record(1, 1, 7, orientation=8)]
    corpus.valid("images-one-row.arrow", f"images/{shard_digest(one)}.arrow", write_images(one, [1]), "one row")


def add_lmdb(corpus: Corpus) -> None:
    records = some_records()
    for file, rows, span, shows in (
        ("images", records, 1 << 22, "the shard of images.arrow"),
        ("images-branch", branching_records(), 5000, "two leaves, an image on two pages of its own; a short last span"),
    ):
        data = write_lmdb(entries_of(rows))
        digest, seal = shard_digest(rows), seal_of_file(data, rows, span)
        corpus.valid(f"{file}.lmdb", f"images/{digest}.lmdb", data, shows, seal=seal)
    digest = shard_digest(records)
    seal = seal_of_file(write_lmdb(entries_of(records)), records, 1 << 22)
    corpus.valid("seal.json", f"images/{digest}.lmdb.json", seal, "the seal of an LMDB file")


def branching_records() -> list[Record]:
    return [bmp_record(41, 33, 9), *(bmp_record(19, 16, shade) for shade in range(4))]


def seal_of_file(data: bytes, records: list[Record], span_bytes: int = 1 << 22, **changes: Any) -> bytes:
    """The object beside an LMDB file, which fits it."""
    return write_sealed_json({**file_seal(data, shard_digest(records), span_bytes), **changes})


LABELS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "string": (pa.string(), ["cat", "", None, "dög"]),
    "int64": (pa.int64(), [3, -(2**63), None, 0]),
    "double": (pa.float64(), [0.5, -1e300, None, 0.0]),
    "null": (pa.null(), [None] * 4),
}


def annotation_columns(label: str = "string") -> tuple[list[pa.Field], dict[str, list[Any]]]:
    """Fields and values of the four columns."""
    kind, values = LABELS[label]
    fields = [("key", pa.string()), ("label", kind), ("subset", pa.string()), ("dropped", pa.bool_())]
    columns = {
        "key": ["a.png", "b/ä.png", "c", "d"],
        "label": values,
        "subset": ["train", "val", "test", None],
        "dropped": [False, True, False, True],
    }
    return [pa.field(name, kind) for name, kind in fields], columns


def add_annotations(corpus: Corpus) -> None:
    for label in LABELS:
        fields, columns = annotation_columns(label)
        _add(corpus, f"annotations-{label}", fields, columns, [4], f"labels: {label}; rows that are dropped")
    fields, columns = annotation_columns()
    fields[2] = pa.field("subset", pa.null())
    _add(corpus, "annotations-no-subsets", fields, {**columns, "subset": [None] * 4}, [4], "subsets of the type null")
    fields, columns = annotation_columns("int64")
    fields += [
        pa.field("weight", pa.float32()),
        pa.field("boxes", pa.list_(pa.list_(pa.int16()))),
        pa.field("camera", pa.struct([("make", pa.string()), ("iso", pa.uint32())])),
    ]
    columns |= {
        "weight": [0.5, None, -1.0, 2.0],
        "boxes": [[[1, 2, 3, 4]], [], None, [[5], []]],
        "camera": [{"make": "x", "iso": 100}, None, {"make": None, "iso": 2**32 - 1}, {"make": "", "iso": None}],
    }
    _add(corpus, "annotations-metadata", fields, columns, [1, 3, 4], "metadata columns, three blocks")
    fields, columns = annotation_columns()
    fields = [pa.field(f.name, f.type, nullable=f.name not in ("key", "dropped")) for f in fields]
    _add(
        corpus,
        "annotations-not-nullable",
        fields,
        columns,
        [4],
        "columns without nulls that say so; unknown members",
        later=[],
    )


def _add(
    corpus: Corpus,
    file: str,
    fields: list[pa.Field],
    columns: dict[str, list[Any]],
    cuts: list[int],
    shows: str,
    **extra: Any,
) -> None:
    data = write_annotations(pa.schema(fields), columns, cuts, **extra)
    corpus.valid(f"{file}.arrow", f"annotations/{digest_of(data)}.arrow", data, shows)
