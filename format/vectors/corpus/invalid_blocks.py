"""Feature shards whose blocks are refused."""

from __future__ import annotations

import struct

import pyarrow as pa
import zstandard
from second.features import COMPRESSED, Shard, columns, packed_batch
from second.floats import bytes_of
from second.frames import pack_frame
from second.lz4_block import pack_lz4

from .crafted import Frames, blocks_of, craft, raw_frame
from .damage import patch
from .entries import Corpus
from .samples import features_name, one_block, two_rows

VALUES = struct.pack("<6f", 0, 0.25, 1.5, 3, -2, 4)  # of two rows of three, channel by channel
CONTENT = b"\0" + VALUES


def add_invalid_blocks(corpus: Corpus) -> None:
    add_rows(corpus)
    add_nulls(corpus)
    add_frames(corpus)
    add_lz4(corpus)
    add_contents(corpus)


def _add(corpus: Corpus, file: str, frames: Frames, code: str, why: str) -> None:
    shard = one_block()
    corpus.invalid(f"block-{file}.arrow", features_name(shard), craft(shard, frames=frames), code, why)


def add_rows(corpus: Corpus) -> None:
    plain = two_rows()
    empty = blocks_of(plain)[0].slice(0, 0)
    data = craft(plain, batches=[*blocks_of(plain), empty])
    corpus.invalid(
        "block-empty.arrow", features_name(plain), data, "bad-block", "a block without rows, and no compressor"
    )
    for rows in (1, 3, 1 << 30):
        data = craft(plain, description=plain.describe(rows=rows))
        why = f"2 rows in all blocks, {rows} in the description"
        corpus.invalid(f"features-rows-{rows}.arrow", features_name(plain), data, "bad-features", why)
    frame = pack_frame(CONTENT)
    one = pack_frame(CONTENT[:13])
    large = pack_frame(b"\0" + bytes(12 << 20))
    cases: list[tuple[str, Frames, str, str]] = [
        ("rows-fewer", [(1, one)], "bad-features", "1 row in all blocks, 2 in the description"),
        ("rows-more", [(2, frame), (1, one)], "bad-features", "3 rows in all blocks, 2 in the description"),
        (
            "rows-beyond",
            [(3, pack_frame(b"\0" + bytes(36)))],
            "bad-features",
            "a block of 3 rows, 2 in the description",
        ),
        ("rows-zero", [(2, frame), (0, pack_frame(b"\0"))], "bad-block", "a block of no rows"),
        ("rows-negative", [(3, pack_frame(b"\0" + bytes(36))), (-1, frame)], "bad-block", "a block of -1 rows"),
    ]
    for file, frames, code, why in cases:
        _add(corpus, file, frames, code, why)
    many = Shard("f32+zstd", [3], VALUES, [1 << 20])
    data = craft(many, frames=[(1 << 20, large)] * 3)
    claims = craft(many, frames=[(1 << 20, raw_frame(b"", 1 + (12 << 20)))])
    why = "a frame that claims what its rows take, which is more than its few bytes can hold"
    corpus.invalid("block-claims-ratio.arrow", features_name(many), claims, "bad-block", why)
    why = "three blocks that each have all rows: none is unpacked"
    corpus.invalid("block-rows-thrice.arrow", features_name(many), data, "bad-features", why)


def add_nulls(corpus: Corpus) -> None:
    frame = pack_frame(CONTENT)
    _add(corpus, "null-rows", [(None, frame)], "bad-block", "rows is null")
    _add(corpus, "null-frame", [(2, None)], "bad-block", "block is null")
    shard = one_block()
    pair = (
        pa.Table.from_batches([packed_batch(1, pack_frame(CONTENT[:13]))] * 2, COMPRESSED).combine_chunks().to_batches()
    )
    data = craft(shard, batches=pair)
    corpus.invalid("block-pair.arrow", features_name(shard), data, "bad-block", "a block that has two rows")
    plain = two_rows()
    kind = columns("f32", [3]).field(0).type
    for file, rows, why in (
        ("row", [[0, 1, 2], None], "a row that is null"),
        ("value", [[0, 1, 2], [0, None, 2]], "a value that is null"),
    ):
        array = pa.ExtensionArray.from_storage(kind, pa.array(rows, kind.storage_type))
        batch = pa.RecordBatch.from_arrays([array], schema=columns("f32", [3]))
        data = craft(plain, batches=[batch])
        corpus.invalid(f"block-null-{file}.arrow", features_name(plain), data, "bad-block", why)


def add_frames(corpus: Corpus) -> None:
    frame = pack_frame(CONTENT)
    unknown = zstandard.ZstdCompressor(write_content_size=False).compress(CONTENT)
    for file, data, why in (
        ("claims-much", raw_frame(CONTENT, 1 << 40), "a frame that claims 1 TiB"),
        ("claims-more", raw_frame(CONTENT, len(CONTENT) + 1), "a frame that claims a byte more than it has"),
        ("claims-less", raw_frame(CONTENT, len(CONTENT) - 1), "a frame that claims a byte less than it has"),
        ("unknown-size", unknown, "a frame that does not say its content's size"),
        ("trailing", frame + b"\0", "a byte behind the frame"),
        ("two-frames", pack_frame(CONTENT[:13]) + pack_frame(CONTENT[13:]), "two frames"),
        ("cut-off", frame[:-1], "a frame that is cut off"),
        ("no-frame", CONTENT, "no zstd frame"),
        ("block-type", patch(raw_frame(CONTENT), 13, b"\x07"), "a frame of a block type that is none"),
    ):
        _add(corpus, file, [(2, data)], "bad-block", why)


def add_lz4(corpus: Corpus) -> None:
    shard = one_block("f32+lz4")
    block = pack_lz4(CONTENT)[4:]
    size = struct.pack("<I", len(CONTENT))
    match = b"\xd4" + CONTENT[:13]
    for file, data, why in (
        ("none", b"\x19\0\0", "less than a size"),
        ("claims-much", struct.pack("<I", 1 << 31) + block, "a claim of 2 GiB"),
        ("claims-more", struct.pack("<I", len(CONTENT) + 1) + block, "a claim of a byte more than it has"),
        ("claims-less", struct.pack("<I", len(CONTENT) - 1) + block, "a claim of a byte less than it has"),
        ("cut-off", size + block[:-1], "literals that are cut off"),
        ("offset-zero", size + match + b"\0\0\x40" + CONTENT[-4:], "a match 0 bytes back"),
        ("offset-far", size + match + b"\x0e\0\x40" + CONTENT[-4:], "a match before the content"),
        (
            "match-long",
            size + b"\xdf" + CONTENT[:13] + b"\x04\0\xff\0" + b"\x40" + CONTENT[-4:],
            "a match beyond the content",
        ),
        ("flags-8", pack_lz4(b"\x08" + VALUES), "a flag that is none"),
    ):
        data = craft(shard, frames=[(2, data)])
        corpus.invalid(f"block-lz4-{file}.arrow", features_name(shard), data, "bad-block", why)


def add_contents(corpus: Corpus) -> None:
    bitmap = struct.pack("<3Q", 0b10, 0b11, 0b11)
    kept = VALUES[4:]
    for file, content, why in (
        ("flags-8", b"\x08" + VALUES, "a flag that is none"),
        ("short", CONTENT[:-1], "a byte less than its values take"),
        ("long", CONTENT + b"\0", "a byte more than its values take"),
        ("content-empty", b"", "a content without flags"),
        ("too-long", b"\0" + bytes(1000), "more than any flags could make of its rows"),
        ("classes", b"\x01" + VALUES, "flags that say classes, and no bytes of them"),
        ("bitmap", b"\x02" + bitmap + VALUES, "a value more than its bitmap says"),
        ("bitmap-fewer", b"\x02" + bitmap + kept[4:], "a value less than its bitmap says"),
        ("bitmap-cut", b"\x02" + bitmap[:20] + bytes(5), "a bitmap that is cut off"),
        ("bitmap-beyond", b"\x02" + struct.pack("<3Q", 0b10, 0b11, 0b111) + kept + bytes(4), "a bit beyond the rows"),
        ("bitmap-far", b"\x02" + struct.pack("<3Q", 0b10, 1 << 63 | 0b1, 0b11) + kept, "the highest bit of a word"),
        ("shuffled", b"\x04" + VALUES[:-1], "planes that are cut off"),
    ):
        _add(corpus, file, [(2, pack_frame(content))], "bad-block", why)
    for codec, size in (("u8c", 6), ("u4c", 3)):
        shard = Shard(f"{codec}+zstd", [3], bytes_of([0, 1, 2, 3, 4, 5]), [2])
        for file, flags, wrong in (("long", 0, size + 1), ("planes", 4, size)):
            data = craft(shard, frames=[(2, pack_frame(bytes([flags]) + bytes(wrong)))])
            name = f"block-{codec}-{file}.arrow"
            corpus.invalid(name, features_name(shard), data, "bad-block", f"{wrong} bytes of values")
