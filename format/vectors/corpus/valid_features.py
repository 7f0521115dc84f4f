"""Valid feature shards: every codec, all flags, every kind of shape, and the values at the edges."""

from __future__ import annotations

import math
import struct

import pyarrow as pa
from second.features import CODECS, Shard, columns, write_features
from second.floats import bytes_of
from second.quantisers import WIDTHS

from .crafted import craft, raw_frame
from .entries import Corpus
from .samples import features_name, numbers, one_block, two_rows

SHAPES = {"pooled": [5], "tokens": [3, 4], "map": [3, 1, 5]}
STEPS = ("ordered", "sparse", "shuffled")
ALL_FLAGS, SOME_FLAGS = ("f16", "u8c"), (3, 7)
PROVENANCE = {"executor": "test", "device": "none", "versions": {"a": "1"}}


def add_features(corpus: Corpus) -> None:
    add_shapes(corpus)
    add_flags(corpus)
    add_edges(corpus)
    add_descriptions(corpus)


def _add(corpus: Corpus, file: str, shard: Shard, shows: str) -> None:
    corpus.valid(f"features-{file}.arrow", features_name(shard), write_features(shard), shows)


def add_shapes(corpus: Corpus) -> None:
    for codec in CODECS:
        for seed, (kind, shape) in enumerate(SHAPES.items()):
            if "+" in codec and kind != "tokens":
                continue
            values = numbers(5 * math.prod(shape), seed)
            shard = Shard(codec, shape, values, [2, 3, 5], provenance=PROVENANCE)
            _add(corpus, f"{codec}-{kind}", shard, f"{codec} of shape {shape}, in three blocks")


def add_flags(corpus: Corpus) -> None:
    """Channels of 66 values: a bitmap of two words, the second nearly empty, and planes that end inside a byte."""
    for quantiser in WIDTHS:
        for flags in range(8) if quantiser in ALL_FLAGS else SOME_FLAGS:
            shard = Shard(f"{quantiser}+zstd", [3, 11, 2], numbers(3 * 66, 9, zeros=0.4), [3], flags=flags)
            steps = " ".join(step for bit, step in enumerate(STEPS) if flags >> bit & 1) or "no step"
            _add(corpus, f"{quantiser}+zstd-flags{flags}", shard, f"{quantiser}+zstd: {steps}")


def add_edges(corpus: Corpus) -> None:
    every = struct.pack("<8I", 0x80000000, 0, 0x7FC00000, 0xFFC12345, 0x7F800000, 0xFF800000, 1, 0x807FFFFF)
    _add(corpus, "f32-special", Shard("f32", [4], every, [2]), "negative zero, NaN, infinities, subnormals")
    _add(corpus, "f32+zstd-special", Shard("f32+zstd", [4], every, [2], flags=6), "the same, zeros left out")
    halves = bytes_of([65504, -65504, 2**-24, 2**-25, 3 * 2**-25, -0.0, 1 + 2**-11, 1 + 3 * 2**-11])
    _add(corpus, "f16-special", Shard("f16", [8], halves, [1]), "the largest, subnormals, ties to even")
    brains = bytes_of([(2 - 2**-7) * 2.0**127, 2.0**-133, 2.0**-134, -0.0, 1 + 2**-8, 1 + 3 * 2**-8, 2.0**-149])
    _add(corpus, "bf16-special", Shard("bf16", [7], brains, [1]), "the largest, subnormals, ties to even")
    words = struct.pack("<8H", 0x7C00, 0xFC00, 0x7E00, 0xFE00, 0x03FF, 0x8001, 0x7BFF, 0)
    shard = Shard("f16", [8], bytes(32), [1])
    kind = columns("f16", [8]).field(0).type
    stored = pa.Array.from_buffers(pa.float16(), 8, [None, pa.py_buffer(words)])
    row = pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(stored, 8))
    data = craft(shard, batches=[pa.RecordBatch.from_arrays([row], schema=columns("f16", [8]))])
    shows = "infinities and NaN, which no writer stores and readers decode"
    corpus.valid("features-f16-infinite.arrow", features_name(shard), data, shows)
    for codec in ("u8c", "u4c+zstd"):
        constant = bytes_of([1.5, -3, 0, 1.5, 1e30, 0, 1.5, 7, 2.0**-149])
        shard = Shard(codec, [3], constant, [3], flags=2)
        _add(
            corpus,
            f"{codec}-constant",
            shard,
            "a constant channel (scale 0), one of subnormals, one far from the other",
        )
    for codec in ("u4c", "u8c+zstd"):
        _add(corpus, f"{codec}-one", Shard(codec, [1], bytes_of([0.1]), [1]), "one value")
    for codec in ("f32", "u4c", "u4c+zstd"):
        shard = Shard(codec, [2, 1, 3, 1], numbers(18, 4), [1, 3], flags=5)
        _add(corpus, f"{codec}-four-axes", shard, "shape (C, D, H, W)")
    zeros = Shard("f16+zstd", [2, 3], bytes(4 * 12), [2], flags=7)
    _add(corpus, "f16+zstd-zeros", zeros, "nothing but zeros, all left out")
    many = Shard("u4c+zstd", [130], numbers(130, 6), [1], flags=1)
    _add(corpus, "u4c+zstd-many-channels", many, "one row of many channels; classes that repeat")


def add_descriptions(corpus: Corpus) -> None:
    shard = two_rows()
    data = craft(shard, description=shard.describe(later={"a": 1}, requires=[]))
    corpus.valid(
        "features-unknown-members.arrow", features_name(shard), data, "unknown members, nothing required, no provenance"
    )
    for codec in ("f32", "u8c+zstd"):
        shard = Shard(codec, [2], bytes_of([0, 0, 3, 4, 0, 0, 5, 0.5]), [3, 4])
        missing = [[0, "undecodable"], [2, "crashed"]]
        data = craft(shard, description=shard.describe(missing=missing, requires=["missing-rows"]))
        corpus.valid(f"features-{codec}-missing.arrow", features_name(shard), data, "rows without features")
    shard = Shard("f16", [2], bytes_of([0, 0]), [1])
    data = craft(shard, description=shard.describe(missing=[[0, "failed"]], requires=["missing-rows"]))
    corpus.valid("features-f16-all-missing.arrow", features_name(shard), data, "a shard without any features")
    shard = one_block()
    content = b"\0" + struct.pack("<6f", 0, 0.25, 1.5, 3, -2, 4)
    data = craft(shard, frames=[(2, raw_frame(content))])
    corpus.valid(
        "features-raw-frame.arrow", features_name(shard), data, "a zstd frame of one raw block, channel by channel"
    )
    shard = one_block("f32+lz4")
    # 13 bytes of literals, a match of 7 bytes that begins 4 back, and five literals, the least that may end a block.
    content = b"\0" + struct.pack("<6f", 1, 2, 3, 3, 3, 0.5)
    block = struct.pack("<I", 25) + b"\xd3" + content[:13] + b"\x04\x00" + b"\x50" + content[20:]
    data = craft(shard, frames=[(2, block)])
    corpus.valid(
        "features-lz4-match.arrow", features_name(shard), data, "an LZ4 block with a match that overlaps itself"
    )
    shard = Shard("u8c", [2], bytes_of([0, 0, 10, 1]), [2])
    data = craft(shard, parameters=struct.pack("<2H2f", 0x4B80, 0, 2.0**25, -1.5))
    corpus.valid(
        "features-u8c-parameters.arrow", features_name(shard), data, "float32 rounds the sum; a scale of 0 with codes"
    )
