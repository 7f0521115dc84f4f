"""What is no usable image says why by a code, takes no memory for what it claims, and raises nothing else."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import warnings
import zlib

import pytest
from PIL import Image

from hapistore.errors import ImageError
from hapistore.images import check_image, decode_rgb, read_header

BOMB_PROBE = """
import resource, sys
from hapistore.errors import ImageError
from hapistore.images import check_image, decode_rgb, read_header
import hapistore.images.decode
from PIL import Image
Image.init()
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for call in (read_header, check_image, decode_rgb):
    try:
        call(data)
        sys.exit("a bomb was decoded")
    except ImageError as error:
        print(error.reason)
taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
if taken > 100_000:
    sys.exit(f"{taken} KiB were taken")
"""


def reason(data: bytes) -> str:
    """The reason of both ways to open, which must agree."""
    reasons = set()
    for call in (check_image, decode_rgb):
        with pytest.raises(ImageError) as caught:
            call(data)
        assert caught.value.detail
        reasons.add(caught.value.reason)
    assert len(reasons) == 1
    return reasons.pop()


def png(width: int, height: int, body: bytes = b"", colour: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", body or zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    return (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(50)
    )


def gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + bytes(6) + frame


def ppm(width: int, height: int) -> bytes:
    return b"P6 %d %d 255\n" % (width, height) + bytes(30)


BOMBS = {
    "PNG": png(60_000, 60_000),
    "grey PNG": png(2**31 - 1, 2**31 - 1, colour=0),
    "BMP": bmp(50_000, 50_000),
    "GIF": gif(65_535, 65_535),
    "PPM": ppm(100_000, 100_000),
}


@pytest.mark.parametrize("data", [b"", memoryview(b"")])
def test_zero_bytes(data):
    assert reason(data) == "empty"


@pytest.mark.parametrize(
    "data",
    [
        *(b"x", b"hello, this is text\n" * 50, b"<html><body>svg</body></html>", bytes(5000)),
        *(b"\x89PNG", b"\xff\xd8", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP"),
        *(b"BM", b"II*\0", b"P6", b"P6 1 1 255"),
    ],
)
def test_what_is_no_image(data):
    assert reason(data) in ("not-an-image", "truncated", "undecodable")
    if len(data) > 20:
        assert reason(data) == "not-an-image"


FOREIGN = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    "PDF": b"%PDF-1.7\n" + bytes(100),
    "SVG": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "PSD": b"8BPS\0\1" + bytes(100),
    "HEIF": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    "JPEG XL": b"\xff\x0a" + bytes(100),
    "DICOM": bytes(128) + b"DICM" + bytes(100),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_image_of_another_format_is_named(name):
    assert reason(FOREIGN[name]) == "unsupported-format"
    with pytest.raises(ImageError, match=f"a file in format {name}, expected JPEG, PNG.*; convert it"):
        read_header(FOREIGN[name])


def test_an_icon_is_not_read(make):
    """Pillow decodes the picture in an icon, whatever its size, before it says how large it is."""
    assert reason(make.encode(make.corners(), "ICO")) == "unsupported-format"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"])
def test_a_file_cut_in_half(make, kind):
    data = make.encode(make.noise(64, 64), kind)
    for length in (len(data) // 2, len(data) * 3 // 4):
        assert reason(data[:length]) in {"JPEG": ("truncated",), "PNG": ("truncated",)}.get(
            kind, ("truncated", "undecodable", "not-an-image")
        )


@pytest.mark.parametrize("place", [10, 100, 1000])
def test_a_png_with_damaged_pixels(make, place):
    data = bytearray(make.encode(make.noise(), "PNG"))
    data[data.index(b"IDAT") + place] ^= 0x55
    assert reason(bytes(data)) in ("truncated", "undecodable")


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_header_and_takes_no_memory(environment, name):
    with pytest.raises(ImageError, match="pixels"):
        read_header(BOMBS[name])
    assert reason(BOMBS[name]) == "too-many-pixels"
    done = subprocess.run(
        [sys.executable, "-c", BOMB_PROBE], env=environment, input=BOMBS[name], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.split() == [b"too-many-pixels"] * 3


def test_the_limit_is_exact_and_can_be_set(environment):
    program = """
import sys
from hapistore.errors import ImageError
from hapistore.images import read_header
data = sys.stdin.buffer.read()
try:
    print(read_header(data).width)
except ImageError as error:
    print(error)
"""
    for limit, expected in (("1200", "40"), ("1199", "40×30 pixels, expected at most 1199 (HAPISTORE_MAX_PIXELS)")):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**environment, "HAPISTORE_MAX_PIXELS": limit, "PYTHONIOENCODING": "utf-8"},
            input=png(40, 30), capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.stdout.decode().strip() == expected, done.stderr


SOURCES = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA"]


@pytest.mark.parametrize("kind", SOURCES)
def test_what_ingest_accepts_extraction_decodes(make, kind):
    """Bytes changed at random: both accept or both refuse, and nothing but ImageError comes out."""
    exif = {"exif": orientation_six()} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    whole = make.encode(make.noise(), kind, **exif)
    pick = random.Random(kind)
    outcomes = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(250):
            data = bytearray(whole)
            for _ in range(pick.choice((1, 1, 2, 5))):
                data[pick.randrange(min(len(data), pick.choice((60, 400, len(data)))))] = pick.randrange(256)
            outcomes.add(agreed(bytes(data)))
    assert outcomes <= {"ok", "not-an-image", "unsupported-format", "too-many-pixels", "truncated", "undecodable"}
    assert len(outcomes) > 1


def orientation_six() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    return exif


def agreed(data: bytes) -> str:
    outcomes = []
    for call in (check_image, decode_rgb):
        try:
            call(data)
            outcomes.append("ok")
        except ImageError as error:
            outcomes.append(error.reason)
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


def test_many_threads_may_open_the_first_images_at_once(make, environment):
    """Pillow loads its plugins on the first image; here by many threads in a fresh process."""
    program = """
import sys, threading
from hapistore.images import check_image
data = sys.stdin.buffer.read()
barrier, seen = threading.Barrier(8), []
def run():
    barrier.wait()
    seen.append(check_image(data).width)
threads = [threading.Thread(target=run) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(seen)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, input=make.encode(make.corners(), "WEBP"), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == str([24] * 8).encode(), done.stderr


def test_pillows_own_guard_is_left_as_the_user_has_it(make):
    before = Image.MAX_IMAGE_PIXELS
    check_image(make.encode(Image.new("RGB", (8, 8)), "PNG"))
    assert before == Image.MAX_IMAGE_PIXELS


def test_an_image_that_pillow_warns_of_is_refused_where_warnings_are_errors(make):
    large = make.encode(Image.new("1", (10_000, 9_000)), "PNG")  # beyond Pillow's own limit of 89 million pixels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reason(large) == "too-many-pixels"
        warnings.simplefilter("ignore")
        assert check_image(large).width == 10_000
