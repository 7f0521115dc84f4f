"""The fast decoder gives what Pillow gives, but for a few levels; and the same errors."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from hapistore.errors import ImageError, UsageError
from hapistore.images import Preprocess, fast, with_decoder

EXACT = Preprocess(resize_px=64, crop_px=(56, 56), mean_levels=(0, 0, 0), std_levels=(1, 1, 1))
FAST = with_decoder(EXACT, "fast")


def encode(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def picture(imagenet) -> Image.Image:
    """A photograph, smooth enough that resizing filters hardly differ."""
    return Image.open(imagenet[0][0]).convert("RGB").resize((200, 130), Image.Resampling.LANCZOS)


def difference(data: bytes, exact: Preprocess = EXACT) -> float:
    """Mean difference in levels."""
    fast = with_decoder(exact, "fast")(data)
    slow = exact(data)
    assert fast.shape == slow.shape == exact.pixel_shape and fast.dtype == np.uint8 and fast.flags.c_contiguous
    return float(np.abs(fast.astype(int) - slow).mean())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_formats_and_greys(picture, format, mode):
    assert difference(encode(picture.convert(mode), format)) < 4


def test_real_photographs(photographs, imagenet):
    for path in (*photographs[:4], *(path for path, _ in imagenet[:8])):
        assert difference(path.read_bytes(), replace(EXACT, resize_px=256, crop_px=(224, 224))) < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(picture, "JPEG", exif=exif, quality=95)
    assert difference(data) < 4
    others = [encode(picture, "JPEG", exif=_exif(o), quality=95) for o in range(1, 9) if o != orientation]
    assert all(np.abs(FAST(other).astype(int) - FAST(data)).mean() > 4 for other in others)


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "CMYK", "I;16"])
def test_unusual_modes_are_pillows(picture, mode):
    image = picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)
    most = 12 if mode == "1" else 8  # dithered dots tell filters apart
    assert difference(encode(image, "JPEG" if mode == "CMYK" else "PNG")) < most


def test_transparency_is_over_black(picture):
    image = picture.convert("P")
    data = encode(image, "PNG", transparency=image.getpixel((100, 65)))
    assert difference(data) < 8


@pytest.mark.parametrize("size", [(20, 20), (30, 200), (200, 30), (64, 64), (1, 1), (63, 500)])
@pytest.mark.parametrize("resize", [64, (64, 48), (40, 40)])
def test_sizes(picture, size, resize):
    exact = replace(EXACT, resize_px=resize)
    for kind in ("JPEG", "PNG"):
        assert difference(encode(picture.resize(size), kind), exact) < 12


def test_a_large_jpeg_is_decoded_at_a_smaller_scale(picture):
    data = encode(picture.resize((3000, 1950)), "JPEG")
    assert difference(data) < 4


def test_the_same_errors(picture):
    whole = encode(picture, "JPEG")
    for data in (b"", b"text", whole[:50], whole[: len(whole) // 2], encode(picture, "PNG")[:500]):
        reasons = []
        for preprocess in (EXACT, FAST):
            with pytest.raises(ImageError) as caught:
                preprocess(data)
            reasons.append(caught.value.reason)
        assert reasons[0] == reasons[1]


def test_no_such_decoder():
    with pytest.raises(UsageError, match="pillow, fast"):
        with_decoder(EXACT, "faster")


BYTES = {
    "bytes": lambda data: data,
    "a memoryview": memoryview,
    "Arrow's signed bytes": lambda data: memoryview(pa.array([data], pa.binary())[0].as_buffer()),
}


@pytest.mark.parametrize("kind", BYTES)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_usual_images_never_come_to_pillow(picture, monkeypatch, format, kind):
    data = encode(picture, format)
    expected = FAST(data)
    monkeypatch.setattr(fast, "decode_rgb", lambda _: pytest.fail("Pillow was asked"))
    assert np.array_equal(FAST(BYTES[kind](data)), expected)
    assert np.array_equal(FAST.variants(BYTES[kind](data), [None])[0], expected)
