"""The preprocessing of a network that its user built: from what it says of itself, else ImageNet's usual."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..images import Preprocess
from .timm_family import preprocess_from_data_config

_USUAL_PX = 224
_CROP_FRACTION = 0.875  # of the short side, as torchvision evaluates most networks
_MEAN = (123.675, 116.28, 103.53)
_STD = (58.395, 57.12, 57.375)


def preprocess_for(model: nn.Module) -> Preprocess:
    """What a network says of itself, else a centre crop of 224 pixels.

    That is a `Preprocess` in its attribute ``hapistore_preprocess``, as a `Backbone`'s whole network has it; a timm
    network's data configuration; or a transformers network's image size.

    Raises:
        UsageError: a timm network's preprocessing is of a kind hapistore lacks.
    """
    own = getattr(model, "hapistore_preprocess", None)
    if isinstance(own, Preprocess):
        return own
    config = getattr(model, "pretrained_cfg", None)
    if isinstance(config, dict) and "input_size" in config:
        return preprocess_from_data_config(_as_evaluated(config), type(model).__name__)
    side_px = getattr(getattr(model, "config", None), "image_size", None)
    return _usual(side_px if isinstance(side_px, int) else _USUAL_PX)


def _as_evaluated(config: dict[str, Any]) -> dict[str, Any]:
    """timm's defaults for what a network's configuration leaves out."""
    usual = {"crop_pct": _CROP_FRACTION, "interpolation": "bicubic"}
    levels = {"mean": tuple(level / 255 for level in _MEAN), "std": tuple(level / 255 for level in _STD)}
    return {**usual, **levels, **{key: value for key, value in config.items() if value is not None}}


def _usual(side_px: int) -> Preprocess:
    return Preprocess(
        resize_px=round(side_px / _CROP_FRACTION), crop_px=(side_px, side_px), mean_levels=_MEAN, std_levels=_STD
    )
