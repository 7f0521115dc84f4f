"""Image shards of layout arrow and annotations that are refused."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from second.annotations import ENTRY as ANNOTATIONS_ENTRY
from second.annotations import write_annotations
from second.images import COLUMNS, batch_of, describe, shard_digest, write_images
from second.images import ENTRY as IMAGES_ENTRY
from second.sealed_arrow import reseal, write_sealed_arrow
from second.sealed_json import spell

from .damage import flip
from .entries import Corpus, digest_of
from .invalid_documents import formats
from .pictures import png_record, some_records
from .samples import OTHER
from .valid_shards import annotation_columns


def add_invalid_shards(corpus: Corpus) -> None:
    add_images(corpus)
    add_image_columns(corpus)
    add_annotations(corpus)
    add_annotation_columns(corpus)


def _images_file(schema: pa.Schema, batches: list[pa.RecordBatch], description: str) -> bytes:
    schema = schema.with_metadata({IMAGES_ENTRY: description})
    return write_sealed_arrow(schema, [pa.RecordBatch.from_arrays(b.columns, schema=schema) for b in batches], {})


def add_images(corpus: Corpus) -> None:
    records = some_records()
    name = f"images/{shard_digest(records)}.arrow"
    data = write_images(records, [3])
    for file, changed, code, why in (
        ("flipped", flip(data, data.index(records[0]["image"]) + 30), "bad-block", "a bit of an image is flipped"),
        ("rows-more", write_images(records, [3], rows=4), "bad-images", "3 rows, 4 in the description"),
        ("empty-block", write_images(records, [3, 3]), "bad-images", "a block without rows"),
        ("other-images", write_images(records[1:], [2], digest=shard_digest(records)), "bad-digest", "other records"),
        *((file, write_images(records, [3], **changes), code, why) for file, changes, code, why in formats()[:1]),
    ):
        corpus.invalid(f"images-{file}.arrow", name, changed, code, why)
    lying = [{**records[0], "image": records[1]["image"]}, *records[1:]]
    corpus.invalid(
        "images-lying.arrow", name, write_images(lying, [3]), "bad-digest", "an image of another record digest"
    )
    corpus.invalid("images-name.arrow", f"images/{OTHER}.arrow", data, "bad-name", "another shard than its name says")
    batch = batch_of(pa.schema(COLUMNS), records)
    for file, text, why in (("no-json", "{", "a description that is no JSON"),):
        corpus.invalid(f"images-{file}.arrow", name, _images_file(batch.schema, [batch], text), "bad-images", why)
    later = batch.append_column("label", pa.array(["cat"] * 3))
    data = _images_file(later.schema, [later], describe(records, format=2))
    corpus.invalid("images-later.arrow", name, data, "unsupported-version", "format 2, which has a column more")
    data = write_sealed_arrow(batch.schema, [batch], {})
    corpus.invalid("images-no-description.arrow", name, data, "bad-images", "no description")


def add_image_columns(corpus: Corpus) -> None:
    records = [png_record(1, 1, 3)]
    name = f"images/{shard_digest(records)}.arrow"
    batch = batch_of(pa.schema(COLUMNS), records)
    nullable = pa.schema([COLUMNS[0].with_nullable(True), *COLUMNS[1:]])
    for file, changed, why in (
        ("missing", batch.select([f.name for f in COLUMNS[:4]] + ["digest"]), "a column is missing"),
        ("more", batch.append_column("label", pa.array(["cat"])), "a column more"),
        ("nullable", pa.RecordBatch.from_arrays(batch.columns, schema=nullable), "a column that may have nulls"),
        ("null", batch_of(pa.schema(COLUMNS), [{**records[0], "format": None}]), "a null"),
    ):
        data = _images_file(changed.schema, [changed], describe(records))
        corpus.invalid(f"images-columns-{file}.arrow", name, data, "bad-images", why)
    data = reseal(_images_file(batch.schema, [batch], describe(records)).replace(b"orientation", b"orient\xfftion"))
    corpus.invalid("images-columns-no-utf8.arrow", name, data, "not-arrow", "a column whose name is no UTF-8")


def _add(corpus: Corpus, file: str, data: bytes, code: str, why: str) -> None:
    corpus.invalid(f"annotations-{file}.arrow", f"annotations/{digest_of(data)}.arrow", data, code, why)


def add_annotations(corpus: Corpus) -> None:
    fields, columns = annotation_columns()

    def changed(**extra: Any) -> bytes:
        return write_annotations(pa.schema(fields), columns, [4], **extra)

    for file, changes, code, why in formats()[:2]:
        _add(corpus, file, changed(**changes), code, why)
    _add(corpus, "rows-more", changed(rows=5), "bad-annotations", "4 rows, 5 in the description")
    _add(corpus, "rows-text", changed(rows="4"), "bad-field", "rows is a string")
    data = changed()
    _add(corpus, "flipped", flip(data, data.index(b"a.png")), "bad-block", "a bit of a key is flipped")
    name = f"annotations/{OTHER}.arrow"
    corpus.invalid("annotations-digest.arrow", name, data, "bad-digest", "the file has another digest than its name")
    table = pa.table([columns[f.name] for f in fields], schema=pa.schema(fields))
    for file, metadata in (("no-description", None), ("no-json", {ANNOTATIONS_ENTRY: "rows"})):
        schema = table.schema.with_metadata(metadata)
        batches = table.replace_schema_metadata(metadata).to_batches()
        _add(corpus, file, write_sealed_arrow(schema, batches, {}), "bad-annotations", "no description, or no JSON")


def add_annotation_columns(corpus: Corpus) -> None:
    fields, columns = annotation_columns()
    for file, at, kind, values, why in (
        ("key-number", 0, pa.int64(), [1, 2, 3, 4], "keys that are numbers"),
        ("key-null", 0, pa.string(), ["a", None, "c", "d"], "a key that is null"),
        ("label-bool", 1, pa.bool_(), [True] * 4, "labels that are true or false"),
        ("subset-other", 2, pa.string(), ["train", "test", "holdout", None], "a subset that is none"),
        ("dropped-null", 3, pa.bool_(), [True, None, False, False], "a null in dropped"),
    ):
        changed = [*fields[:at], pa.field(fields[at].name, kind), *fields[at + 1 :]]
        data = write_annotations(pa.schema(changed), {**columns, fields[at].name: values}, [4])
        _add(corpus, file, data, "bad-annotations", why)
    data = write_annotations(pa.schema([fields[i] for i in (1, 0, 2, 3)]), columns, [4])
    _add(corpus, "columns-swapped", data, "bad-annotations", "labels before keys")
    data = reseal(write_annotations(pa.schema(fields), columns, [4]).replace(b"dropped", b"drop\xffed"))
    _add(corpus, "columns-no-utf8", data, "not-arrow", "a column whose name is no UTF-8")
    kind = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema([*fields, pa.field("camera", kind)], {ANNOTATIONS_ENTRY: spell({"format": 1, "rows": 4}, None)})
    arrays = [pa.array(columns[f.name], f.type) for f in fields]
    batch = pa.RecordBatch.from_arrays([*arrays, pa.array(["x"] * 4).dictionary_encode().cast(kind)], schema=schema)
    _add(
        corpus,
        "dictionary",
        write_sealed_arrow(schema, [batch], {}, last=batch.slice(0, 0)),
        "not-arrow",
        "metadata that is a dictionary",
    )
