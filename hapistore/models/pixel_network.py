"""Networks that take pixels as images are decoded: normalisation comes first, on the network's own device."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..images import Preprocess
from .surgery import Wrapper


class PixelNetwork(Wrapper):
    """Normalisation and a network: uint8 [n, height, width, 3] to float32 [n, *feature_shape].

    Plain tensor operations only, so that torch.export takes it with a dynamic n.
    """

    mean_levels: torch.Tensor
    std_levels: torch.Tensor

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__(network)
        _register_levels(self, preprocess, torch.device("cpu"))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.network(_normalised(pixels, self.mean_levels, self.std_levels))
        return features.to(torch.float32)


class WholeNetwork(Wrapper):
    """Normalisation and a network that is trained: uint8 [n, height, width, 3] to what the network returns."""

    mean_levels: torch.Tensor
    std_levels: torch.Tensor

    def __init__(self, network: nn.Module, preprocess: Preprocess, device: torch.device) -> None:
        super().__init__(network)
        _register_levels(self, preprocess, device)

    def forward(self, pixels: torch.Tensor) -> Any:
        return self.network(_normalised(pixels, self.mean_levels, self.std_levels))


def normalised(pixels: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """uint8 [n, height, width, 3] as a network takes it: float32 [n, 3, height, width]."""
    mean, std = _levels_of(preprocess, pixels.device)
    return _normalised(pixels, mean, std)


def _normalised(pixels: torch.Tensor, mean_levels: torch.Tensor, std_levels: torch.Tensor) -> torch.Tensor:
    # contiguous: a network may use view(), which the strides that permute leaves behind would break;
    # done while a pixel value is still one byte.
    levels = pixels.permute(0, 3, 1, 2).contiguous().to(torch.float32)
    return (levels - mean_levels) / std_levels


def _levels_of(preprocess: Preprocess, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    mean, std = (
        torch.tensor(levels, dtype=torch.float32, device=device).view(1, 3, 1, 1)
        for levels in (preprocess.mean_levels, preprocess.std_levels)
    )
    return mean, std


def _register_levels(module: nn.Module, preprocess: Preprocess, device: torch.device) -> None:
    """Not persistent: they belong to the preprocessing of a recipe, not to a network's weights."""
    for name, levels in zip(("mean_levels", "std_levels"), _levels_of(preprocess, device), strict=True):
        module.register_buffer(name, levels, persistent=False)
