"""Feature shards whose description, columns or parameters are refused."""

from __future__ import annotations

import base64
import math
import struct

import pyarrow as pa
from second.features import COMPRESSED, Shard, columns, write_features
from second.floats import bytes_of
from second.frames import pack_frame

from .crafted import craft, raw_frame
from .entries import Corpus
from .invalid_documents import formats
from .samples import OTHER, features_name, one_block, two_rows

LARGE = 131072  # 2**17: squared and times 4 it is 64 GiB


def add_invalid_features(corpus: Corpus) -> None:
    add_descriptions(corpus)
    add_names(corpus)
    add_columns(corpus)
    add_parameters(corpus)


def _add(corpus: Corpus, file: str, shard: Shard, data: bytes, code: str, why: str) -> None:
    corpus.invalid(f"features-{file}.arrow", features_name(shard), data, code, why)


def add_descriptions(corpus: Corpus) -> None:
    shard = one_block()
    for file, changes, code, why in (
        *formats()[:2],
        ("rows-zero", {"rows": 0}, "bad-field", "no rows"),
        ("shape-five", {"shape": [3, 1, 1, 1, 1]}, "bad-field", "a shape of five axes"),
        ("shape-negative", {"shape": [-3]}, "bad-field", "a negative side"),
        ("shape-true", {"shape": [3, True]}, "bad-field", "a side that is true"),
        ("codec", {"codec": "u3c"}, "unknown-codec", "a codec that is none"),
        ("codec-compressor", {"codec": "f32+gzip"}, "unknown-codec", "a compressor that is none"),
        ("codec-nothing", {"codec": "f32+"}, "unknown-codec", "a compressor without a name"),
        ("large", {"rows": 1, "shape": [LARGE, LARGE + 1]}, "too-large", "a little more than 64 GiB"),
        ("largest", {"rows": 2**63, "shape": [2**31 - 1] * 4}, "too-large", "more than 64 bits can count"),
    ):
        _add(corpus, file, shard, craft(shard, description=shard.describe(**changes)), code, why)
    for file, missing, why in (
        ("unsorted", [[1, "failed"], [0, "failed"]], "missing rows that descend"),
        ("twice", [[1, "failed"], [1, "crashed"]], "a row that is missing twice"),
        ("beyond", [[2, "failed"]], "a missing row that is none"),
        ("negative", [[-1, "failed"]], "a negative row"),
        ("true", [[True, "failed"]], "a row that is true"),
        ("empty", [], "no row, where some are required to be known"),
        ("object", {"1": "failed"}, "no list"),
        ("no-reason", [[1]], "a row without a reason"),
        ("reason", [[1, "It failed"]], "a reason that is no code"),
    ):
        description = shard.describe(missing=missing, requires=["missing-rows"])
        _add(corpus, f"missing-{file}", shard, craft(shard, description=description), "bad-field", why)
    for file, changes, why in (
        ("not-required", {"missing": [[1, "failed"]]}, "missing rows that a reader need not know of"),
        ("absent", {"requires": ["missing-rows"]}, "missing rows are required to be known, and not there"),
    ):
        data = craft(shard, description=shard.describe(**changes))
        _add(corpus, f"missing-{file}", shard, data, "bad-field", why)
    for file, text, why in (
        ("no-json", "rows: 2", "a description that is no JSON"),
        ("nested", '{"a":' + "[" * 1_000, "lists inside of lists, 1,000 of them, none closed"),
    ):
        _add(corpus, file, shard, craft(shard, description=text), "bad-features", why)


def add_names(corpus: Corpus) -> None:
    shard = two_rows()
    for file, name in (
        ("other-images", features_name(shard, images=OTHER)),
        ("other-codec", features_name(two_rows("f16"))),
    ):
        data = write_features(shard)
        corpus.invalid(f"features-{file}.arrow", name, data, "bad-name", "other features than its name says")


def add_columns(corpus: Corpus) -> None:
    plain, packed = two_rows(), one_block()
    tensor = columns("f32", [3]).field(0)
    for file, schema, why in (
        (
            "column-type",
            pa.schema([pa.field("features", pa.list_(pa.float32(), 3), nullable=False)]),
            "lists, no tensors",
        ),
        ("column-stored", pa.schema([tensor.with_type(pa.fixed_shape_tensor(pa.int32(), [3]))]), "another stored type"),
        ("column-nullable", pa.schema([tensor.with_nullable(True)]), "a column that may have nulls"),
    ):
        batches = [_recast(row, schema.field(0).type, schema) for row in ([0, 1, -2], [0, 3, 4])]
        _add(corpus, file, plain, craft(plain, schema=schema, batches=batches), "bad-features", why)
    arrays = [pa.array([2], pa.int32()), pa.array([b""], pa.binary())]
    for file, order in (("swapped", [1, 0]), ("more", [0, 1, 1])):
        fields = [
            COMPRESSED.field(i).with_name(f"more{i}" if n > 1 else COMPRESSED.field(i).name)
            for n, i in enumerate(order)
        ]
        schema = pa.schema(fields)
        batch = pa.RecordBatch.from_arrays([arrays[i] for i in order], schema=schema)
        data = craft(packed, schema=schema, batches=[batch])
        _add(corpus, f"columns-{file}", packed, data, "bad-features", f"columns {', '.join(schema.names)}")
    data = craft(packed, schema=columns("f32", [3]), batches=[_recast([0, 1, 2], tensor.type, columns("f32", [3]))])
    _add(corpus, "columns-plain", packed, data, "bad-features", "the column of another codec")


def _recast(values: list[int], kind: pa.DataType, schema: pa.Schema) -> pa.RecordBatch:
    """One row of a column of any type that holds lists of three numbers."""
    storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    lists = pa.array([values], storage)
    array = pa.ExtensionArray.from_storage(kind, lists) if storage != kind else lists
    return pa.RecordBatch.from_arrays([array], schema=schema)


def add_parameters(corpus: Corpus) -> None:
    shard = Shard("u8c", [2], bytes_of([0, 1, 255, -4]), [2])
    scale, one = 0x3F80, struct.pack("<2H", 0x3F80, 0x3F80)
    zeros = bytes_of([0, -4])
    for file, raw, why in (
        ("short", one + zeros[:-1], "a byte less than 6 a channel"),
        ("long", one + zeros + b"\0", "a byte more than 6 a channel"),
        ("negative-scale", struct.pack("<2H", scale, scale | 0x8000) + zeros, "a negative scale"),
        ("nan-scale", struct.pack("<2H", scale, 0x7FC0) + zeros, "a scale that is NaN"),
        ("nan-zero", one + bytes_of([0, math.nan]), "a zero that is NaN"),
    ):
        _add(corpus, f"params-{file}", shard, craft(shard, parameters=raw), "bad-params", why)
    frame = pack_frame(one + zeros)
    for file, text, why in (
        ("no-base64", "%" * 40, "no base64"),
        (
            "unpadded",
            base64.b64encode(frame + b"\0" * (len(frame) % 3 == 0)).decode().rstrip("="),
            "base64 without padding",
        ),
        ("no-frame", base64.b64encode(one + zeros).decode(), "no zstd frame"),
        ("trailing", base64.b64encode(frame + b"\0").decode(), "a byte behind the frame"),
        ("claims", base64.b64encode(raw_frame(b"", 1 << 40)).decode(), "a frame that claims 1 TiB"),
        ("cut-off", base64.b64encode(frame[:-3]).decode(), "a frame that is cut off"),
    ):
        _add(corpus, f"params-{file}", shard, craft(shard, notes={"hapistore.params": text}), "bad-params", why)
    _add(corpus, "params-missing", shard, craft(shard, notes={}), "bad-params", "no entry hapistore.params")
    text = base64.b64encode(pack_frame(b"") + b"more").decode()
    data = craft(two_rows(), notes={"hapistore.params": text})
    _add(corpus, "params-none-trailing", two_rows(), data, "bad-params", "bytes behind a frame of no parameters")
    data = craft(two_rows(), parameters=bytes(6))
    _add(corpus, "params-too-many", two_rows(), data, "bad-params", "parameters of a codec that has none")
