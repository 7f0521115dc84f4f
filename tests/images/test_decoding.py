"""Whatever kind of picture comes in, upright 8-bit RGB comes out."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from hapistore.images import check_image, decode_rgb, read_header

KINDS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA"]


def corner_colours(image: Image.Image) -> list[str]:
    """Colours of the corners from the top left, row by row, by their first letter."""
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}
    right, bottom = image.width - 2, image.height - 2
    return [
        names[tuple(v > 127 for v in image.getpixel(at))] for at in ((1, 1), (right, 1), (1, bottom), (right, bottom))
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format(make, kind):
    data = make.encode(make.corners(), kind)
    image = decode_rgb(data)
    assert (image.mode, image.size) == ("RGB", (24, 16))
    assert corner_colours(image) == ["r", "g", "b", "w"]
    header = check_image(data)
    assert (header.width, header.height, header.format, header.orientation) == (24, 16, kind, 1)
    assert read_header(data) == header
    assert np.array_equal(np.asarray(decode_rgb(memoryview(data))), np.asarray(image))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA"])
def test_lossless_formats_are_exact(make, kind):
    image = make.noise()
    assert np.array_equal(np.asarray(decode_rgb(make.encode(image, kind))), np.asarray(image))


# Where the picture's first corner stands when its stored rows and columns are turned upright (EXIF 2.32, table 4).
UPRIGHT = {1: "rgbw", 2: "grwb", 3: "wbgr", 4: "bwrg", 5: "rbgw", 6: "brwg", 7: "wgbr", 8: "gwrb"}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_an_exif_orientation_is_applied(make, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = make.encode(make.corners(), kind, exif=exif)
    image = decode_rgb(data)
    assert image.size == ((24, 16) if orientation < 5 else (16, 24))
    assert corner_colours(image) == list(UPRIGHT[orientation])
    as_stored = (24, 16, orientation) if kind != "TIFF" else (*image.size, 1)  # Pillow turns a TIFF by itself
    for header in (check_image(data), read_header(data)):
        assert (header.width, header.height, header.orientation) == as_stored


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_an_impossible_orientation_is_none(make, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = make.encode(make.corners(), "JPEG", exif=exif)
    assert check_image(data).orientation == 1
    assert corner_colours(decode_rgb(data)) == ["r", "g", "b", "w"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on what it skips
def test_a_broken_exif_block_is_metadata_lost_and_no_image(make):
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = bytearray(make.encode(make.corners(), "JPEG", exif=exif))
    at = whole.index(b"Exif\0\0")
    for place in range(at + 6, at + 30):
        for value in (0, 0xFF):
            data = whole.copy()
            data[place] = value
            assert check_image(bytes(data)).width == 24
            assert decode_rgb(bytes(data)).mode == "RGB"


def test_a_progressive_jpeg(make):
    image = make.corners(64, 48)
    assert corner_colours(decode_rgb(make.encode(image, "JPEG", progressive=True))) == ["r", "g", "b", "w"]


def test_greyscale_is_three_equal_channels(make):
    grey = ImageOps.grayscale(make.noise())
    for kind in ("PNG", "TIFF", "PPM"):
        pixels = np.asarray(decode_rgb(make.encode(grey, kind)))
        assert all(np.array_equal(pixels[..., c], np.asarray(grey)) for c in range(3))


def test_black_and_white(make):
    bits = make.corners().convert("L").point(lambda level: 255 * (level > 100)).convert("1")
    pixels = np.asarray(decode_rgb(make.encode(bits, "PNG")))
    assert set(np.unique(pixels)) == {0, 255}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_greyscale_is_scaled_and_not_clipped(make, kind):
    levels = np.array([[0, 255, 256, 511, 32768, 65279, 65280, 65535]], np.uint16)
    data = make.encode(Image.fromarray(levels), kind)
    pixels = np.asarray(decode_rgb(data))
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 1, 128, 254, 255, 255]
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert check_image(data).width == 8


def test_a_palette(make):
    image = make.corners().quantize(4)
    assert image.mode == "P"
    for kind in ("PNG", "GIF", "BMP"):
        assert corner_colours(decode_rgb(make.encode(image, kind))) == ["r", "g", "b", "w"]


def test_cmyk(make):
    image = make.corners().convert("CMYK")
    for kind in ("JPEG", "TIFF"):
        assert corner_colours(decode_rgb(make.encode(image, kind))) == ["r", "g", "b", "w"]


def test_a_cmyk_jpeg_is_inverted_whether_or_not_it_names_adobe(make):
    """Adobe's programs invert CMYK; others that write it follow them, marker or not."""
    data = make.encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    start = data.index(b"\xff\xee")
    unmarked = data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]
    assert b"Adobe" in data and b"Adobe" not in unmarked
    assert decode_rgb(data).getpixel((8, 8)) == decode_rgb(unmarked).getpixel((8, 8)) == (255, 0, 0)


def test_ycbcr(make):
    data = make.encode(Image.new("RGB", (8, 8), (200, 30, 60)).convert("YCbCr"), "TIFF")
    assert np.abs(np.subtract(decode_rgb(data).getpixel((4, 4)), (200, 30, 60))).max() <= 3


def test_16_bits_of_colour_keep_their_high_bytes():
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = struct.pack(">3H", 0x12FF, 0xFE01, 0x80FF)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    assert decode_rgb(data).getpixel((0, 0)) == (0x12, 0xFE, 0x80)


def test_lab(make):
    assert decode_rgb(make.encode(Image.new("LAB", (8, 8), (128, 0, 0)), "TIFF")).mode == "RGB"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_composed_over_black(make, kind):
    image = make.corners().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    image.paste((200, 100, 50, 255), (0, 0, 4, 4))
    image.paste((200, 100, 50, 128), (8, 0, 12, 4))
    pixels = np.asarray(decode_rgb(make.encode(image, kind, **({"lossless": True} if kind == "WEBP" else {}))))
    assert pixels[1, 1].tolist() == [200, 100, 50]
    assert np.abs(pixels[1, 9].astype(int) - [100, 50, 25]).max() <= 1
    assert pixels[12, 20].tolist() == [0, 0, 0]


def test_grey_with_alpha_and_a_transparent_colour(make):
    grey = Image.new("LA", (4, 4), (200, 0))
    assert not np.asarray(decode_rgb(make.encode(grey, "PNG"))).any()
    image = Image.new("RGB", (4, 4), (9, 9, 9))
    image.putpixel((0, 0), (50, 60, 70))
    pixels = np.asarray(decode_rgb(make.encode(image, "PNG", transparency=(9, 9, 9))))
    assert pixels[0, 0].tolist() == [50, 60, 70]
    assert not pixels[1:].any()
    palette = make.corners().quantize(4)
    data = make.encode(palette, "PNG", transparency=palette.getpixel((0, 0)))
    assert not np.asarray(decode_rgb(data))[:8, :12].any()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame(make, kind):
    first, second = make.corners(), Image.new("RGB", (24, 16), (9, 9, 9))
    data = make.encode(first, kind, save_all=True, append_images=[second, second])
    assert corner_colours(decode_rgb(data)) == ["r", "g", "b", "w"]
    assert check_image(data).width == 24


def test_a_multi_picture_jpeg_is_its_first(make):
    data = make.encode(make.corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (24, 16))])
    assert corner_colours(decode_rgb(data)) == ["r", "g", "b", "w"]
    assert check_image(data).format in ("MPO", "JPEG")


def test_one_pixel(make):
    for kind in KINDS:
        assert decode_rgb(make.encode(Image.new("RGB", (1, 1)), kind)).size == (1, 1)
