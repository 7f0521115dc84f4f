"""Networks whose cuts are tested: the listed architectures, as small as they can be without changing what they do, and
some of few layers (`own_nets`)."""

from __future__ import annotations

from collections.abc import Callable

import own_nets
import pytest
import torch
from own_nets import CLASSES
from torch import nn

IMAGES = 3


def alexnet() -> nn.Module:
    return _narrow_classifier(_torchvision("alexnet"), (1, 4), 9216)


def vgg11() -> nn.Module:
    return _vgg("A")


def vgg19() -> nn.Module:
    return _vgg("E")


def resnet18() -> nn.Module:
    return _torchvision("resnet18")


def resnet50() -> nn.Module:
    return _torchvision("resnet50", width_per_group=16)


def densenet121() -> nn.Module:
    torchvision = pytest.importorskip("torchvision")
    return torchvision.models.DenseNet(
        growth_rate=8, block_config=(6, 12, 24, 16), num_init_features=16, drop_rate=0.2, num_classes=CLASSES
    )


def vit_b_16() -> nn.Module:
    """Twelve layers as in B/16, of 48 channels."""
    torchvision = pytest.importorskip("torchvision")
    return torchvision.models.VisionTransformer(
        image_size=32, patch_size=16, num_layers=12, num_heads=4, hidden_dim=48, mlp_dim=96, num_classes=CLASSES,
        dropout=0.1,
    )  # fmt: skip


def efficientnet_lite0() -> nn.Module:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    return package.EfficientNet.from_name("efficientnet-lite0", num_classes=CLASSES, width_coefficient=0.25)


def convnext() -> nn.Module:
    timm = pytest.importorskip("timm")
    return timm.create_model("convnext_atto", num_classes=CLASSES, drop_path_rate=0.3, dims=(8, 16, 32, 64))


def dinov2() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=12, num_attention_heads=2, image_size=56, patch_size=14, num_labels=CLASSES,
    )  # fmt: skip
    return transformers.Dinov2ForImageClassification(config)


NETS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "alexnet": (alexnet, 64),
    "resnet18": (resnet18, 32),
    "resnet50": (resnet50, 32),
    "vgg11": (vgg11, 32),
    "vgg19": (vgg19, 32),
    "densenet121": (densenet121, 32),
    "vit_b_16": (vit_b_16, 32),
    "efficientnet_lite0": (efficientnet_lite0, 32),
    "convnext": (convnext, 32),
    "dinov2": (dinov2, 56),
    "tracked": (own_nets.Tracked, 16),
    "overwriting": (own_nets.Overwriting, 16),
    "branches": (own_nets.Branches, 16),
    "shortcut": (own_nets.Shortcut, 16),
    "exported_branches": (own_nets.ExportedBranches, 16),
}


def build(name: str) -> nn.Module:
    """The network, random weights of a fixed seed; biases and heads that start at zero too."""
    torch.manual_seed(0)
    model = NETS[name][0]()
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return model


def logits_of(output: object) -> torch.Tensor:
    """Of a tensor, or of what transformers returns."""
    return output if isinstance(output, torch.Tensor) else output.logits


def _torchvision(name: str, **options: object) -> nn.Module:
    torchvision = pytest.importorskip("torchvision")
    return torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **options)


def _vgg(layers: str) -> nn.Module:
    """An eighth of the channels."""
    vgg = pytest.importorskip("torchvision").models.vgg
    widths = [width if width == "M" else width // 8 for width in vgg.cfgs[layers]]
    features = vgg.make_layers(widths)
    with torch.device("meta"):  # the classifier is another
        model = vgg.VGG(features, init_weights=False)
    return _narrow_classifier(model, (0, 3), 49 * widths[-2])


def _narrow_classifier(model: nn.Module, layers: tuple[int, int], features: int) -> nn.Module:
    """64 channels for 4,096 in the classifier: a hundred million weights less."""
    first, second = layers
    model.classifier[first] = nn.Linear(features, 64)
    model.classifier[second] = nn.Linear(64, 64)
    model.classifier[-1] = nn.Linear(64, CLASSES)
    return model
