"""Variants of real photographs: each is what it is alone, and levels move as the format says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hapistore.errors import ImageError
from hapistore.images import Change, Preprocess, recolour

AS_IT_IS = (65536, 65536, 65536)
LEVELS = (127.0, 127.0, 127.0)
CHANGES = [
    None,
    lambda width, height: Change((width // 4, height // 5, width // 2, height // 3), flip=False, factors=None),
    lambda width, height: Change((0, 0, width, height), flip=True, factors=None),
    lambda width, height: Change(None, flip=True, factors=None),
    lambda width, height: Change((width - 1, height - 1, 1, 1), flip=False, factors=(40000, 90000, 70000)),
]


def preprocess(decoder: str) -> Preprocess:
    return Preprocess(resize_px=128, crop_px=(112, 96), mean_levels=LEVELS, std_levels=LEVELS, decoder=decoder)


@pytest.fixture(scope="module", params=["pillow", "fast"])
def decode(request):
    return preprocess(request.param)


@pytest.fixture(scope="module")
def photos(photographs, imagenet):
    return [path.read_bytes() for path in (*photographs[:2], *(path for path, _ in imagenet[:2]))]


def test_each_variant_is_the_same_alone_and_with_others(decode, photos):
    for data in photos:
        together = decode.variants(data, CHANGES)
        again = decode.variants(data, CHANGES[::-1])[::-1]
        for change, pixels, other in zip(CHANGES, together, again, strict=True):
            (alone,) = decode.variants(data, [change])
            assert pixels.shape == decode.pixel_shape and pixels.dtype == np.uint8
            assert np.array_equal(pixels, alone) and np.array_equal(pixels, other)


def test_the_image_as_it_is_is_what_it_was(decode, photos):
    for data in photos:
        assert np.array_equal(decode.variants(data, CHANGES)[0], decode(data))


def test_the_box_is_cut_from_the_upright_image(decode, imagenet):
    image = Image.open(imagenet[0][0]).convert("RGB")
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image.transpose(Image.Transpose.ROTATE_90).save(turned, "JPEG", quality=100, subsampling=0, exif=exif)
    upright = io.BytesIO()
    image.save(upright, "JPEG", quality=100, subsampling=0)
    box = (10, 20, image.width // 2, image.height // 3)

    def change(width, height):
        assert (width, height) == image.size
        return Change(box, flip=False, factors=None)

    one, other = (decode.variants(file.getvalue(), [change])[0].astype(int) for file in (turned, upright))
    assert np.abs(one - other).mean() < 2
    left, top, width, height = box
    expected = image.crop((left, top, left + width, top + height)).resize((96, 112), Image.Resampling.BILINEAR)
    assert np.abs(other - np.asarray(expected, int)).mean() < 4


def test_flipping_swaps_left_and_right(decode, photos):
    for data in photos:
        whole, flipped = decode.variants(data, [None, CHANGES[3]])
        assert np.array_equal(flipped, whole[:, ::-1])
        assert flipped.flags.c_contiguous


def test_what_cannot_be_decoded_says_so(decode, photos):
    for changes in (CHANGES, CHANGES[1:2]):
        with pytest.raises(ImageError):
            decode.variants(photos[2][:2000], changes)


@given(st.tuples(*[st.integers(0, 131072)] * 3), st.integers(0, 2**32 - 1))
def test_levels_move_as_the_format_says(factors, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    assert np.array_equal(recolour(pixels, factors), by_the_page(pixels, factors))


def test_factors_of_one_change_nothing(photos):
    pixels = preprocess("pillow")(photos[0])
    assert np.array_equal(recolour(pixels, AS_IT_IS), pixels)


def by_the_page(pixels: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    """Written from format/recipes.md, in 64-bit integers."""

    def grey(levels: np.ndarray) -> np.ndarray:
        return (19595 * levels[..., 0] + 38470 * levels[..., 1] + 7471 * levels[..., 2] + 2**15) // 2**16

    def move(levels: np.ndarray, centre: np.ndarray | int, factor: int) -> np.ndarray:
        return np.clip(centre + ((levels - centre) * factor + 2**15) // 2**16, 0, 255)

    levels = move(pixels.astype(np.int64), 0, factors[0])
    count = levels.shape[0] * levels.shape[1]
    levels = move(levels, int((grey(levels).sum() + count // 2) // count), factors[1])
    return move(levels, grey(levels)[..., None], factors[2]).astype(np.uint8)
