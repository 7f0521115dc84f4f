"""A transformers preprocessor_config.json as a Preprocess.

Read as JSON: transformers' own image processors would import torchvision and need a picture to say what they do.
"""

from __future__ import annotations

from typing import Any

from ..errors import UsageError
from ..images import Preprocess

# Pillow's numbers for its filters, as the files store them.
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}

# Steps some processors take that a Preprocess has no word for.
_UNSUPPORTED = (
    "do_flip_channel_order", "do_pad", "rescale_offset", "include_top", "do_thumbnail", "do_align_long_axis",
)  # fmt: skip

# ConvNeXt's processor crops only below this size, and squeezes at and above it.
_CROP_PCT_BELOW_PX = 384


def preprocess_from_config(config: dict[str, Any], name: str) -> Preprocess:
    """Convert the fields of a preprocessor_config.json.

    Raises:
        UsageError: a field is missing, or asks for something a Preprocess cannot say.
    """
    for step in _UNSUPPORTED:
        if config.get(step):
            raise UsageError(f"preprocessing of {name} asks for {step}, which hapistore does not do")
    if not config.get("do_resize", True):
        raise UsageError(f"preprocessing of {name} does not resize, expected images of one size")
    resize_px, crop_px = _sizes(config, name)
    mean, std = _normaliser(config, name)
    return Preprocess(
        resize_px=resize_px, crop_px=crop_px, interpolation=_filter(config, name), mean_levels=mean, std_levels=std
    )


def _sizes(config: dict[str, Any], name: str) -> tuple[int | tuple[int, int], tuple[int, int]]:
    size = _field(config, "size", name)
    side = size if isinstance(size, int) else size.get("shortest_edge")
    crops = bool(config.get("do_center_crop", False))
    if isinstance(size, dict) and {"height", "width"} <= set(size):
        exact = (int(size["height"]), int(size["width"]))
        return exact, _crop(config, name) if crops else exact
    if side is None or (isinstance(size, dict) and "longest_edge" in size):
        raise UsageError(f"preprocessing of {name} resizes to {size}, expected height and width, or shortest_edge")
    side = int(side)
    if "crop_pct" in config and not crops:
        fraction = config["crop_pct"] or 1.0
        return (int(side / fraction) if side < _CROP_PCT_BELOW_PX else (side, side)), (side, side)
    if crops:
        # A bare number with a crop is the short side; the oldest files write it so.
        return side, _crop(config, name)
    if isinstance(size, int):
        return (side, side), (side, side)
    raise UsageError(f"preprocessing of {name} keeps the aspect ratio and does not crop, expected images of one size")


def _crop(config: dict[str, Any], name: str) -> tuple[int, int]:
    crop = _field(config, "crop_size", name)
    return (crop, crop) if isinstance(crop, int) else (int(crop["height"]), int(crop["width"]))


def _filter(config: dict[str, Any], name: str) -> str:
    number = _field(config, "resample", name)
    if number not in _FILTERS:
        raise UsageError(f"preprocessing of {name} resamples by filter {number!r}, expected one of {_FILTERS}")
    return _FILTERS[number]


def _normaliser(config: dict[str, Any], name: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Means and deviations in pixel levels: what rescaling divides by goes into both."""
    factor = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    mean, std = [0.0] * 3, [1.0] * 3
    if config.get("do_normalize", True):
        mean, std = _field(config, "image_mean", name), _field(config, "image_std", name)
    if len(mean) != 3 or len(std) != 3:
        raise UsageError(f"preprocessing of {name} normalises {len(mean)} channels, expected 3")
    return _levels(mean, factor), _levels(std, factor)


def _levels(values: list[float], factor: float) -> tuple[float, float, float]:
    red, green, blue = (round(value / factor, 6) for value in values)
    return red, green, blue


def _field(config: dict[str, Any], key: str, name: str) -> Any:
    if config.get(key) is None:
        raise UsageError(f"preprocessing of {name} does not say {key} in its preprocessor_config.json; add it there")
    return config[key]
