"""What the kernel says of a JPEG, the parser says too, whatever the bytes."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image

from hapistore.images.jpeg_header import jpeg_header
from hapistore.ingestion.jpeg_kernel import UNUSUAL, jpeg_size


def size_of(data: bytes, before: int = 3, behind: int = 5) -> int:
    """By the kernel, in the middle of other bytes."""
    around = bytes([255] * before) + data + bytes([217] * behind)
    return jpeg_size(np.frombuffer(around, np.uint8), before, before + len(data))


def encode(size=(37, 21), mode="RGB", **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


PLAIN = [
    encode(), encode((1, 1)), encode(mode="L"), encode(progressive=True), encode(optimize=True), encode(quality=100),
    encode((2000, 3), comment=b"none"), encode(restart_marker_blocks=2),
]  # fmt: skip
OTHERS = [b"", b"\xff\xd8\xff\xd9", PLAIN[0][:-1], PLAIN[0] + b"\0", b"\x89PNG" + bytes(50)]
CAMERAS = [encode(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"), encode(mode="CMYK"), encode(icc_profile=b"x" * 200)]


@pytest.mark.parametrize("data", PLAIN)
def test_plain_ones_are_answered(data):
    header = jpeg_header(data)
    assert size_of(data) == header.width * 65536 + header.height


@pytest.mark.parametrize("data", [*CAMERAS, *OTHERS])
def test_all_others_are_left_alone(data):
    assert size_of(data) == UNUSUAL


@pytest.mark.parametrize("data", PLAIN)
def test_of_changed_bytes_nothing_else_is_said_than_the_parser_says(data, imagenet):
    changes = random.Random(5)
    head = data.index(b"\xff\xda") + 20
    answered = 0
    for _ in range(4000):
        changed = bytearray(data)
        for _ in range(changes.choice([1, 1, 2, 4])):
            changed[changes.randrange(head)] = changes.choice([0, 1, 8, 255, changes.randrange(256)])
        found = size_of(bytes(changed))
        if found != UNUSUAL:
            answered += 1
            header = jpeg_header(bytes(changed))
            assert header is not None and header.orientation == 1
            assert found == header.width * 65536 + header.height
    assert answered > 400


def test_real_photographs(imagenet):
    for path, _ in imagenet:
        data = path.read_bytes()
        header, found = jpeg_header(data), size_of(data)
        if found != UNUSUAL:
            assert found == header.width * 65536 + header.height
