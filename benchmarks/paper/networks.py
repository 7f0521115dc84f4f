"""The networks of the paper's evaluation, frozen where it froze them, and one with real weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import nn

from hapistore import Preprocess, load_backbone
from hapistore.images import with_decoder
from hapistore.models import Prefix, Tail, TracedNetwork, prefix_and_tail, trace

from ..torchvision_shim import import_torchvision


@dataclass(frozen=True, kw_only=True)
class Net:
    """A network as it is fine-tuned.

    Attributes:
        backbone: as `load_backbone` takes it. weights: ``pretrained`` or ``random``.
        freeze_until: path of the last frozen module; None: all but the last layer. The paper counts layers; these are
            the modules that its numbers come to (its Table 1, and the sizes of its logs).
        images: of an epoch, so that eager PyTorch takes five to ten seconds for one on one core.
        classes: of the last layer; None: those of ImageNet.
    """

    name: str
    backbone: str
    weights: str
    freeze_until: str | None
    images: int
    classes: int | None = None


NETWORKS = {
    net.name: net
    for net in (
        Net(name="alexnet", backbone="torchvision/alexnet", weights="random", freeze_until="classifier.2", images=96),
        Net(name="resnet18", backbone="torchvision/resnet18", weights="random", freeze_until="layer4.0", images=48),
        Net(name="resnet50", backbone="torchvision/resnet50", weights="random", freeze_until="avgpool", images=32),
        Net(name="vgg11", backbone="torchvision/vgg11", weights="random", freeze_until="classifier.2", images=16),
        Net(name="vgg19", backbone="torchvision/vgg19", weights="random", freeze_until="features.35", images=8),
        Net(
            name="densenet121", backbone="torchvision/densenet121", weights="random",
            freeze_until="features.denseblock4", images=32,
        ),
        Net(
            name="vit_b_16", backbone="torchvision/vit_b_16", weights="random",
            freeze_until="encoder.layers.encoder_layer_10", images=8,
        ),
        Net(
            name="efficientnet_lite0", backbone="efficientnet_lite0", weights="pretrained", freeze_until=None, images=64
        ),
    )
}  # fmt: skip
"""By name, in the order of the tables."""
ELPV = replace(NETWORKS["efficientnet_lite0"], name="efficientnet_lite0_elpv", classes=2)
"""For ELPV's photographs: good or defective."""


def net_of(name: str) -> Net:
    """One of these, by name."""
    return ELPV if name == ELPV.name else NETWORKS[name]


@dataclass(frozen=True)
class Cut:
    """A network in two parts. The prefix of cut 0 is none: the tail is the whole network."""

    prefix: Prefix | None
    tail: Tail


@lru_cache(maxsize=1)
def traced(name: str) -> tuple[TracedNetwork, Preprocess]:
    """A network with its cuts, frozen; the same weights in every process. One is kept at a time."""
    net = net_of(name)
    if net.backbone.startswith("torchvision/"):
        import_torchvision()
    torch.manual_seed(0)
    backbone = load_backbone(net.backbone, weights=net.weights)
    model = backbone.whole()
    if net.classes is not None:
        _replace_head(model, net.classes)
    network = trace(model, backbone.preprocess.crop_px)
    network.freeze(net.freeze_until or network.cuts[-1].name)
    return network, backbone.preprocess


@lru_cache(maxsize=2)
def cut_at(name: str, index: int) -> Cut:
    """A network cut, for images as they are stored, decoded by the fast decoders."""
    network, preprocess = traced(name)
    preprocess = with_decoder(preprocess, "fast")
    if index == 0:
        return Cut(None, network.whole())
    net = net_of(name)
    if index == network.freeze_index and net.freeze_until is None:
        # At a cut that has a name everywhere, so that its weights cross and not a program.
        _, tail = network.cut(index)
        return Cut(load_backbone(net.backbone).prefix("pool", decoder="fast"), tail)
    return Cut(*prefix_and_tail(network, index, preprocess=preprocess, name=name))


def _replace_head(model: nn.Module, classes: int) -> None:
    """Give a network another last layer."""
    name, last = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Linear)][-1]
    model.set_submodule(name, nn.Linear(last.in_features, classes))
