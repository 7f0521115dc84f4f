"""What ingest takes without decoding is what decodes."""

from __future__ import annotations

import random

import pytest

from hapistore.errors import ImageError
from hapistore.images import check_image, check_usual


def outcome(check, data: bytes):
    try:
        return check(data)
    except ImageError as error:
        return error.reason


def files(photographs, imagenet) -> list[bytes]:
    return [path.read_bytes() for path in (*photographs[:6], *(path for path, _ in imagenet[:6]))]


def test_whole_images_and_their_beginnings(photographs, imagenet):
    cuts = random.Random(3)
    for data in files(photographs, imagenet):
        for stop in (len(data), len(data) - 1, len(data) - 2, *(cuts.randrange(len(data)) for _ in range(30))):
            assert outcome(check_usual, data[:stop]) == outcome(check_image, data[:stop]), stop


def test_a_flipped_bit_in_a_png_is_seen(photographs):
    flips = random.Random(4)
    data = photographs[0].read_bytes()
    for _ in range(200):
        changed = bytearray(data)
        changed[flips.randrange(len(data))] ^= 1 << flips.randrange(8)
        assert outcome(check_usual, bytes(changed)) == outcome(check_image, bytes(changed))


@pytest.mark.parametrize("trailing", [b"\0", b"\0" * 100, b"Exif"])
def test_bytes_behind_the_end_leave_the_answer(photographs, imagenet, trailing):
    for data in files(photographs, imagenet):
        assert outcome(check_usual, data + trailing) == outcome(check_image, data + trailing)
