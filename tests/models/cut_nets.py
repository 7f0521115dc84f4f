"""Networks whose cuts are tested: the listed architectures, as small as they can be without changing what they do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

IMAGES = 3
CLASSES = 5


def alexnet() -> nn.Module:
    return _narrow_classifier(_torchvision("alexnet"), (1, 4))


def vgg11() -> nn.Module:
    return _narrow_classifier(_torchvision("vgg11"), (0, 3))


def vgg19() -> nn.Module:
    return _narrow_classifier(_torchvision("vgg19"), (0, 3))


def resnet18() -> nn.Module:
    return _torchvision("resnet18")


def resnet50() -> nn.Module:
    return _torchvision("resnet50")


def densenet121() -> nn.Module:
    return _torchvision("densenet121", drop_rate=0.2)


def vit_b_16() -> nn.Module:
    """Twelve layers as in B/16, of 48 channels."""
    torchvision = pytest.importorskip("torchvision")
    return torchvision.models.VisionTransformer(
        image_size=32, patch_size=16, num_layers=12, num_heads=4, hidden_dim=48, mlp_dim=96, num_classes=CLASSES,
        dropout=0.1,
    )  # fmt: skip


def efficientnet_lite0() -> nn.Module:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    return package.EfficientNet.from_name("efficientnet-lite0", num_classes=CLASSES)


def convnext() -> nn.Module:
    timm = pytest.importorskip("timm")
    return timm.create_model("convnext_atto", num_classes=CLASSES, drop_path_rate=0.3)


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


class Tracked(nn.Module):
    """Batch norms and functional dropout that only torch.export takes: Python reads a size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.norm1(self.conv1(images))
        if maps.shape[2] > 1:
            maps = self.norm2(self.conv2(maps))
        return self.head(nn.functional.dropout(maps.mean((2, 3)), 0.5, self.training))


class Overwriting(nn.Module):
    """Every way to work in place, on values that are read again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv1(images)
        maps.mul_(2)
        nn.functional.relu(maps, True)
        more = self.conv2(maps)
        more += maps
        view = more.flatten(2).add_(1)
        return self.head(more.mean((2, 3)) + view.mean(2))


class OverwritingView(Overwriting):
    """Reads a value of which only a view was overwritten: what no graph of values shows."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv1(images)
        maps.flatten(2).add_(1)
        return self.head(self.conv2(maps).mean((2, 3)))


def _torchvision(name: str, **options: object) -> nn.Module:
    torchvision = pytest.importorskip("torchvision")
    return torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **options)


def _narrow_classifier(model: nn.Module, layers: tuple[int, int]) -> nn.Module:
    """64 channels for 4,096 in the classifier: a hundred million weights less."""
    first, second = layers
    model.classifier[first] = nn.Linear(model.classifier[first].in_features, 64)
    model.classifier[second] = nn.Linear(64, 64)
    model.classifier[-1] = nn.Linear(64, CLASSES)
    return model
