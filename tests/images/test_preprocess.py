"""Resizing and cropping are torchvision's, to the pixel."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from hapistore.errors import ImageError
from hapistore.images import Preprocess

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def preprocess(**changes) -> Preprocess:
    values = {"resize_px": 20, "crop_px": (16, 16), "mean_levels": (0.0, 0.0, 0.0), "std_levels": (1.0, 1.0, 1.0)}
    return Preprocess(**{**values, **changes})


def torchvision_size(width: int, height: int, short: int) -> tuple[int, int]:
    """``Resize(short)``: (width, height), from torchvision.transforms.functional._compute_resized_output_size."""
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short


def torchvision_crop(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """``CenterCrop``, from torchvision.transforms.functional.center_crop, in numpy."""
    above, beside = (max(0, crop - side) for crop, side in zip((height, width), pixels.shape[:2], strict=True))
    pixels = np.pad(pixels, ((above // 2, (above + 1) // 2), (beside // 2, (beside + 1) // 2), (0, 0)))
    top, left = round((pixels.shape[0] - height) / 2.0), round((pixels.shape[1] - width) / 2.0)
    return pixels[top : top + height, left : left + width]


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", [(40, 30), (30, 40), (33, 33), (100, 21), (21, 100), (20, 20)])
@pytest.mark.parametrize("crop", [(16, 16), (20, 20), (15, 17), (16, 12)])
def test_it_is_resize_and_centre_crop(make, interpolation, size, crop):
    image = make.noise(*size)
    expected = image.resize(torchvision_size(*size, 20), FILTERS[interpolation])
    expected = torchvision_crop(np.asarray(expected), *crop)
    found = preprocess(interpolation=interpolation, crop_px=crop)(make.encode(image, "PNG"))
    assert found.dtype == np.uint8
    assert found.shape == (*crop, 3)
    assert np.array_equal(found, expected)


def test_the_size_of_any_picture_is_torchvisions():
    step = preprocess(resize_px=7)
    for width in range(1, 120):
        for height in range(1, 120):
            expected = tuple(max(1, side) for side in torchvision_size(width, height, 7))
            assert step._resized_size(width, height) == expected


@pytest.mark.parametrize("crop", range(1, 25))
def test_a_crop_of_any_size_and_beyond(make, crop):
    for side in range(1, 14):
        image = make.noise(side, side)
        found = preprocess(resize_px=side, crop_px=(crop, crop))(make.encode(image, "PNG"))
        assert np.array_equal(found, torchvision_crop(np.asarray(image), crop, crop)), (side, crop)


def test_a_crop_larger_than_the_image_pads_with_black(make):
    white = Image.new("RGB", (10, 10), (255, 255, 255))
    found = preprocess(resize_px=10, crop_px=(14, 8))(make.encode(white, "PNG"))
    assert not found[:2].any()
    assert not found[-2:].any()
    assert (found[2:-2] == 255).all()


def test_an_exact_size_ignores_the_aspect_ratio(make):
    image = make.noise(50, 20)
    found = preprocess(resize_px=(12, 18), crop_px=(12, 18))(make.encode(image, "PNG"))
    assert np.array_equal(found, np.asarray(image.resize((18, 12), Image.Resampling.BILINEAR)))


def test_a_very_long_picture_keeps_a_pixel(make):
    found = preprocess(resize_px=1, crop_px=(1, 1))(make.encode(make.noise(1, 300), "PNG"))
    assert found.shape == (1, 1, 3)
    assert preprocess()(make.encode(make.noise(1, 300), "PNG")).shape == (16, 16, 3)


def test_pictures_are_upright_before_they_are_cropped(make):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = make.encode(make.corners(24, 16), "PNG", exif=exif)
    found = preprocess(resize_px=(24, 16), crop_px=(24, 16), interpolation="nearest")(data)
    assert found[1, 1].tolist() == [0, 0, 255]  # blue was bottom left
    assert found[1, -2].tolist() == [255, 0, 0]


def test_equal_bytes_give_equal_pixels(make):
    data = make.encode(make.noise(), "JPEG")
    step = preprocess()
    assert np.array_equal(step(data), step(memoryview(data)))


def test_its_json_is_plain_and_complete():
    step = preprocess(interpolation="bicubic")
    value = json.loads(json.dumps(step.to_json()))
    assert set(value) == {"resize_px", "crop_px", "interpolation", "mean_levels", "std_levels", "decoder"}
    assert preprocess(**{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}) == step
    assert step.pixel_shape == (16, 16, 3)


@pytest.mark.parametrize(
    "changes", [{"interpolation": "box"}, {"decoder": "magic"}, {"std_levels": (1.0, 0.0, 1.0)}], ids=str
)
def test_impossible_settings_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        preprocess(**changes)


def test_what_is_no_image_is_an_image_error():
    with pytest.raises(ImageError):
        preprocess()(b"no image")
