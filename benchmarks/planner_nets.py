"""The networks that plans are measured with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from hapistore import Preprocess, load_backbone
from hapistore.models import preprocess_for

from .torchvision_shim import import_torchvision

_CLASSES = 2


@dataclass(frozen=True)
class Net:
    """A network as it is fine-tuned.

    Attributes:
        weights: real or random, for people.
        freeze_until: as in ``PrepareOptions``; None: all but the last layer.
        make: the network, the same in every process.
    """

    name: str
    weights: str
    freeze_until: str | None
    make: Callable[[], nn.Module]

    def build(self) -> nn.Module:
        """The network."""
        torch.manual_seed(0)
        return self.make()

    def preprocess(self) -> Preprocess:
        """What images it takes."""
        return preprocess_for(self.build())


def _torchvision(name: str) -> nn.Module:
    import_torchvision()
    network: nn.Module = importlib.import_module("torchvision.models").get_model(
        name, weights=None, num_classes=_CLASSES
    )
    return network


def _timm(name: str) -> nn.Module:
    import_torchvision()
    network: nn.Module = importlib.import_module("timm").create_model(name, num_classes=_CLASSES)
    return network


NETWORKS = {
    net.name: net
    for net in (
        Net("efficientnet_lite0", "ImageNet", None, lambda: load_backbone("efficientnet_lite0").whole()),
        Net("resnet18", "random", "layer3", lambda: _torchvision("resnet18")),
        Net("alexnet", "random", "features", lambda: _torchvision("alexnet")),
        Net("vit_tiny", "random", "blocks.9", lambda: _timm("vit_tiny_patch16_224")),
    )
}
