"""Every kind of image that Pillow writes: what ingest takes, extraction can decode; the rest is quarantined."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from hapistore.errors import ImageError
from hapistore.images import check_image, decode_rgb, read_header

SIZE = (24, 16)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8))
ALPHA = NOISE.convert("RGBA")
ALPHA.putalpha(Image.linear_gradient("L").resize(SIZE))
TURNED = Image.Exif()
TURNED[0x0112] = 6


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def grey16(mode: str = "I;16") -> Image.Image:
    levels = (np.arange(SIZE[0] * SIZE[1], dtype=np.uint16) * 170).reshape(SIZE[1], SIZE[0])
    return Image.fromarray(levels) if mode == "I;16" else Image.fromarray(levels.astype(np.int32))


FRAMES = {"save_all": True, "append_images": [NOISE.rotate(180), NOISE.convert("L").convert("RGB")]}
IMAGES = {
    "grey.jpg": encode(NOISE.convert("L"), "JPEG"),
    "cmyk.jpg": encode(NOISE.convert("CMYK"), "JPEG"),
    "progressive.jpg": encode(NOISE, "JPEG", progressive=True, quality=100, subsampling=0),
    "turned.jpg": encode(NOISE, "JPEG", exif=TURNED),
    "two.mpo": encode(NOISE, "MPO", save_all=True, append_images=[NOISE.rotate(180)]),
    "one_bit.png": encode(NOISE.convert("1"), "PNG"),
    "grey_16.png": encode(grey16(), "PNG"),
    "palette.png": encode(NOISE.quantize(16), "PNG"),
    "palette_transparent.png": encode(NOISE.quantize(16), "PNG", transparency=3),
    "palette_alpha.png": encode(NOISE.quantize(16), "PNG", transparency=bytes(range(0, 256, 16))),
    "rgb_transparent.png": encode(NOISE, "PNG", transparency=NOISE.getpixel((0, 0))),
    "grey_alpha.png": encode(ALPHA.convert("LA"), "PNG"),
    "alpha.png": encode(ALPHA, "PNG"),
    "turned.png": encode(NOISE, "PNG", exif=TURNED),
    "frames.png": encode(NOISE, "PNG", **FRAMES),
    "frames.gif": encode(NOISE, "GIF", **FRAMES),
    "transparent.gif": encode(NOISE.quantize(8), "GIF", transparency=2),
    "frames.tif": encode(NOISE, "TIFF", **FRAMES),
    "cmyk.tif": encode(NOISE.convert("CMYK"), "TIFF"),
    "lab.tif": encode(Image.new("LAB", SIZE, (50, 20, 10)), "TIFF"),
    "float.tif": encode(NOISE.convert("F"), "TIFF"),
    "int_32.tif": encode(grey16("I"), "TIFF"),
    "grey_16_lzw.tif": encode(grey16(), "TIFF", compression="tiff_lzw"),
    "turned.tif": encode(NOISE, "TIFF", tiffinfo={0x0112: 6}),
    "jpeg.tif": encode(NOISE, "TIFF", compression="jpeg"),
    "one_bit.bmp": encode(NOISE.convert("1"), "BMP"),
    "palette.bmp": encode(NOISE.quantize(16), "BMP"),
    "grey.pgm": encode(NOISE.convert("L"), "PPM"),
    "grey_16.pgm": encode(grey16("I"), "PPM"),
    "packed.tga": encode(ALPHA, "TGA", compression="tga_rle"),
}
for _name, _format, _options in (
    ("alpha.webp", "WEBP", {"lossless": True}),
    ("frames.webp", "WEBP", {"lossless": True, **FRAMES}),
    ("alpha.avif", "AVIF", {}),
    ("turned.avif", "AVIF", {"exif": TURNED}),
    ("alpha.jp2", "JPEG2000", {}),
):
    if features.check({"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}[_format]):
        IMAGES[_name] = encode(ALPHA if _name.startswith("alpha") else NOISE, _format, **_options)

EXACT = {"frames.png", "frames.tif", "frames.webp"}


def test_all_are_taken_or_quarantined(tree, take, store, read_back):
    result = take(tree(IMAGES))
    left_out = {image.key: image.reason for image in result.quarantined}
    assert left_out in ({}, {"lab.tif": "undecodable"})  # older Pillows read Lab and have no way to RGB
    stored = {record["key"]: record for record in read_back(store, result.version)}
    assert {key: record["image"] for key, record in stored.items()} == {
        key: data for key, data in IMAGES.items() if key not in left_out
    }
    for key, record in stored.items():
        decoded = decode_rgb(record["image"])
        size = (record["width"], record["height"])
        assert decoded.mode == "RGB", key
        assert decoded.size == (size[::-1] if record["orientation"] >= 5 else size), key
        assert decoded.size == (SIZE[::-1] if "turned" in key else SIZE), key


@pytest.mark.parametrize("name", sorted(EXACT & set(IMAGES)))
def test_of_several_frames_the_first_is_shown(name):
    assert np.array_equal(np.asarray(decode_rgb(IMAGES[name])), np.asarray(NOISE))


@pytest.mark.parametrize("name", ["turned.png", "turned.tif"])
def test_exif_orientation_is_applied(name):
    upright = NOISE.transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(np.asarray(decode_rgb(IMAGES[name])), np.asarray(upright))


@pytest.mark.parametrize("name", ["grey_16.png", "int_32.tif", "grey_16_lzw.tif", "grey_16.pgm"])
def test_16_bit_grey_keeps_its_high_byte(name):
    expected = np.asarray(grey16("I")) // 256
    assert np.array_equal(np.asarray(decode_rgb(IMAGES[name])), np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize("name", ["alpha.png", "alpha.webp", "packed.tga"])
def test_transparency_is_over_black(name):
    if name not in IMAGES:
        pytest.skip("this Pillow has no WebP")
    rgba = np.asarray(ALPHA).astype(float)
    expected = rgba[..., :3] * rgba[..., 3:] / 255
    assert np.abs(np.asarray(decode_rgb(IMAGES[name])) - expected).max() <= 1


def test_a_transparent_colour_becomes_black():
    pixels = np.asarray(decode_rgb(IMAGES["rgb_transparent.png"]))
    see_through = (np.asarray(NOISE) == NOISE.getpixel((0, 0))).all(axis=2)
    assert see_through.any() and not pixels[see_through].any()
    assert np.array_equal(pixels[~see_through], np.asarray(NOISE)[~see_through])


def test_an_odd_exif_block_loses_no_image():
    # The width is written as the fraction 1/3: Pillow reads that, and cannot write it again.
    ifd = struct.pack("<H", 2) + struct.pack("<HHII", 0x100, 5, 1, 38) + struct.pack("<HHII", 0x112, 3, 1, 6) + bytes(4)
    data = encode(NOISE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + ifd + struct.pack("<II", 1, 3))
    assert check_image(data).orientation == 6
    assert decode_rgb(data).size == SIZE[::-1]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of what it overlooks
@pytest.mark.parametrize("name", sorted(IMAGES))
def test_whatever_is_damaged_ends_in_an_image_error_or_decodes(name):
    generator = random.Random(name)
    accepted, reasons = 0, set()
    for _ in range(40):
        data = bytearray(IMAGES[name])
        for _ in range(generator.choice((1, 2, 8))):
            data[generator.randrange(min(len(data), generator.choice((64, 400, 1 << 20))))] = generator.randrange(256)
        if generator.random() < 0.2:
            del data[generator.randrange(len(data)) :]
        try:
            header = read_header(bytes(data))
            if header.width * header.height > 1 << 20:
                continue  # allowed, and slow
            header = check_image(bytes(data))
        except ImageError as error:
            reasons.add(error.reason)
            continue
        accepted += 1
        decoded = decode_rgb(bytes(data))
        assert decoded.mode == "RGB"
        assert sorted(decoded.size) == sorted((header.width, header.height))
    assert accepted < 40
    assert reasons <= {"empty", "not-an-image", "too-many-pixels", "truncated", "undecodable"}


def test_too_many_pixels_are_refused_on_the_header():
    data = bytearray(IMAGES["one_bit.png"])
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ImageError, match="900000000 pixels") as caught:
        check_image(bytes(data))
    assert caught.value.reason == "too-many-pixels"
