"""timm's image networks."""

from __future__ import annotations

import difflib
import math
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..errors import UsageError
from ..images import Preprocess
from .backbone import Backbone
from .packages import import_package
from .surgery import Wrapper, paths_of, without
from .weights import Weights, build_on_cpu, fetching, load_weights_file


class _Map(Wrapper):
    """float32 [n, 3, h, w] to what the network's own forward_features gives: a map, or tokens."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.network.forward_features(images)  # type: ignore[operator]
        return features


class _Pool(_Map):
    """float32 [n, 3, h, w] to the input of the classifier [n, channels]."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.network.forward_head(super().forward(images), pre_logits=True)  # type: ignore[operator]
        return pooled


def load_timm(name: str, weights: Weights) -> Backbone:
    """Load ``timm/<name>``: cuts ``pool`` (default), ``map`` (its forward_features) and ``logits``.

    Raises:
        UsageError: timm is not usable, the name is unknown, the weights cannot be had, or the network's
            preprocessing is of a kind hapistore lacks.
    """
    full_name = f"timm/{name}"
    timm = import_package("timm", wanted_for=full_name, install="pip install timm")
    _check_name(timm, name)
    if weights.kind == "pretrained":
        with fetching(full_name):
            network = build_on_cpu(lambda: timm.create_model(name, pretrained=True))
    else:
        network = build_on_cpu(lambda: timm.create_model(name, pretrained=False))
    load_weights_file(network, weights, full_name)
    trunk = without(network, paths_of(network, _classifiers(network)))
    return Backbone(
        architecture=full_name,
        weights_name=weights.describe(f"timm weights ({_tagged_name(network, name)})"),
        preprocess=preprocess_from_data_config(timm.data.resolve_model_data_config(network), full_name),
        cuts={"pool": lambda: _Pool(trunk), "map": lambda: _Map(trunk), "logits": lambda: network},
        default_cut="pool",
    )


def _check_name(timm: ModuleType, name: str) -> None:
    # Only registered names: create_model would also take hub addresses and local folders, whose names
    # do not say what is computed.
    if timm.is_model(name):
        return
    close = difflib.get_close_matches(name, timm.list_models(), n=3)
    hint = f"; did you mean {', '.join(f'timm/{match}' for match in close)}?" if close else ""
    raise UsageError(f"timm has no network {name!r}{hint} (timm.list_models() lists {len(timm.list_models())})")


def _classifiers(network: nn.Module) -> tuple[nn.Module, ...]:
    if not hasattr(network, "get_classifier"):
        return ()
    found = network.get_classifier()  # type: ignore[operator]
    # Distilled networks have two.
    return tuple(found) if isinstance(found, (tuple, list)) else (found,)


def _tagged_name(network: nn.Module, name: str) -> str:
    config: dict[str, Any] = getattr(network, "pretrained_cfg", None) or {}
    tag = config.get("tag")
    return f"{name}.{tag}" if tag and "." not in name else name


def preprocess_from_data_config(config: dict[str, Any], name: str) -> Preprocess:
    """Convert timm's data configuration, as its evaluation transform reads it.

    Raises:
        UsageError: other than three channels, or a crop mode or interpolation without a counterpart.
    """
    channels, height, width = config["input_size"]
    crop_mode = config.get("crop_mode") or "center"
    if channels != 3 or crop_mode not in ("center", "squash"):
        raise UsageError(
            f"{name} wants {channels} channels and crop mode {crop_mode!r}, expected 3 channels and center or squash"
        )
    if config["interpolation"] not in ("nearest", "bilinear", "bicubic", "lanczos"):
        raise UsageError(f"{name} wants interpolation {config['interpolation']!r}, expected one that Pillow has")
    if crop_mode == "center" and height != width:
        raise UsageError(f"{name} wants a {height}×{width} centre crop, expected a square one")
    resized = (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"]))
    return Preprocess(
        resize_px=resized if crop_mode == "squash" else resized[0],
        crop_px=(height, width),
        interpolation=config["interpolation"],
        mean_levels=_levels(config["mean"]),
        std_levels=_levels(config["std"]),
    )


def _levels(fractions: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = (round(value * 255, 6) for value in fractions)
    return red, green, blue
