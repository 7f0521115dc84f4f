"""A network of a few thousand weights, and what images it takes."""

from __future__ import annotations

import torch
from torch import nn

from hapistore.images import Preprocess

SIDE_PX = 64
PREPROCESS = Preprocess(
    resize_px=72, crop_px=(SIDE_PX, SIDE_PX), mean_levels=(128.0, 128.0, 128.0), std_levels=(64.0, 64.0, 64.0)
)


class Small(nn.Module):
    """Three stages and a classifier, with batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(8, 16, 3, stride=4, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.head = nn.Sequential(nn.Conv2d(16, 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(8, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.dropout(torch.flatten(self.head(self.body(self.stem(images))), 1)))
