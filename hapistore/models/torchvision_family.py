"""torchvision's classification networks."""

from __future__ import annotations

import difflib
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from torch import nn

from ..errors import UsageError
from ..images import Preprocess
from .backbone import Backbone
from .packages import import_package
from .surgery import last_linear, without
from .weights import Weights, build_on_cpu, fetching, load_tensors, load_weights_file

_HEADS = ("fc", "classifier", "heads", "head")
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
_DENSENET_KEY = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)$")

# Children that, in this order, give the last convolutional map, by the class of the network.
_MAP_CHILDREN: dict[str, tuple[str, ...]] = {
    "ResNet": ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"),
    "RegNet": ("stem", "trunk_output"),
    "ShuffleNetV2": ("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5"),
    "MNASNet": ("layers",),
    "SwinTransformer": ("features", "norm", "permute"),
    **dict.fromkeys(
        ("AlexNet", "VGG", "SqueezeNet", "DenseNet", "MobileNetV2", "MobileNetV3", "EfficientNet", "ConvNeXt"),
        ("features",),
    ),
}


def load_torchvision(name: str, weights: Weights) -> Backbone:
    """Load ``torchvision/<name>``: cuts ``pool`` (input of the last classifier layer), ``map``, ``logits``.

    A network without a linear classifier (SqueezeNet) has no ``pool``; one without a last convolutional map
    (ViT, for one) has no ``map``. The default is ``pool``, or ``map`` where there is none.

    Raises:
        UsageError: torchvision is not usable, the name is unknown, or the weights cannot be had.
    """
    full_name = f"torchvision/{name}"
    models = import_package("torchvision.models", wanted_for=full_name, install="pip install torchvision")
    _check_name(name, models.list_models(module=models))
    best = models.get_model_weights(name).DEFAULT
    network = _build(models, name, best)
    if weights.kind == "pretrained":
        _load_pretrained(network, best, full_name)
    load_weights_file(network, weights, full_name)
    cuts = _cuts(network)
    return Backbone(
        architecture=full_name,
        weights_name=weights.describe(f"torchvision weights {best}"),
        preprocess=_preprocess(best.transforms()),
        cuts=cuts,
        default_cut="pool" if "pool" in cuts else "map",
    )


def _check_name(name: str, known: list[str]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean torchvision/{close[0]}?)" if close else ""
        raise UsageError(f"torchvision has no classification network {name!r}{hint}; there are {', '.join(known)}")


def _build(models: ModuleType, name: str, best: Any) -> nn.Module:
    """The network, the same whichever weights it gets.

    torchvision's own builders change some networks with the weights; a recipe's architecture must not change.
    """
    options: dict[str, Any] = {}
    if name.startswith("vit_"):
        options = {"image_size": best.meta["min_size"][0]}
    if name in ("googlenet", "inception_v3"):
        options = {"transform_input": True, "aux_logits": False, "init_weights": True}
    return build_on_cpu(lambda: models.get_model(name, weights=None, **options))


def _load_pretrained(network: nn.Module, best: Any, name: str) -> None:
    """Fetch torchvision's best weights and load them.

    Raises:
        UsageError: they cannot be fetched, or do not fit.
    """
    with fetching(name):
        # The files are pickles: weights_only keeps them from running code, the hash from being others.
        tensors = best.get_state_dict(progress=True, check_hash=True, weights_only=True)
    for key in list(tensors):
        # Heads for training only; and DenseNet's names from when a module's name could hold a dot.
        if key.startswith(_AUXILIARY):
            del tensors[key]
        elif match := _DENSENET_KEY.match(key):
            tensors[match[1] + match[2]] = tensors.pop(key)
    load_tensors(network, tensors, f"{best} do not fit {name}")


def _cuts(network: nn.Module) -> Mapping[str, Callable[[], nn.Module]]:
    cuts: dict[str, Callable[[], nn.Module]] = {}
    classifier = last_linear(network, _HEADS)
    if classifier is not None:
        cuts["pool"] = lambda: without(network, [classifier])
    children = _MAP_CHILDREN.get(type(network).__name__)
    if children is not None:
        cuts["map"] = lambda: _map_of(network, children)
    cuts["logits"] = lambda: network
    return cuts


def _map_of(network: nn.Module, children: tuple[str, ...]) -> nn.Module:
    # Named, so that weights keep the names they have in the whole network.
    parts = OrderedDict((child, network.get_submodule(child)) for child in children)
    if type(network).__name__ == "DenseNet":
        parts["relu"] = nn.ReLU()  # its forward applies one after `features`
    return nn.Sequential(parts)


def _preprocess(transform: Any) -> Preprocess:
    """Convert torchvision's ImageClassification transform: its means are fractions of 255."""
    size = transform.crop_size
    return Preprocess(
        resize_px=transform.resize_size[0],
        crop_px=(size[0], size[-1]),
        interpolation=transform.interpolation.value,
        mean_levels=_levels(transform.mean),
        std_levels=_levels(transform.std),
    )


def _levels(fractions: list[float]) -> tuple[float, float, float]:
    red, green, blue = (round(value * 255, 6) for value in fractions)
    return red, green, blue
