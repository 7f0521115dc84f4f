"""Networks of a few layers, each for what graphs may be like."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

CLASSES = 5


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
        return self.head(functional.dropout(maps.mean((2, 3)), 0.5, self.training))


class Overwriting(nn.Module):
    """Every way to work in place, on values that are read again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv1(images)
        maps.mul_(2)
        functional.relu(maps, True)
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


def layer(channels: int, out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


class Branches(nn.Module):
    """Three branches, together smaller than what they branch off from."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool, self.wide = layer(3, 8), nn.AvgPool2d(2), layer(8, 4, stride=2)
        self.deep = nn.Sequential(layer(8, 4, stride=2), layer(4, 4))
        self.project = layer(8, 4)
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(12, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.stem(images)
        pooled, wide, deep = self.pool(maps), self.wide(maps), self.deep(maps)
        joined = torch.cat((self.project(pooled), wide, deep), 1)
        return self.head(self.drop(joined.mean((2, 3))))


class Shortcut(nn.Module):
    """A shortcut that several read, overwritten both as it is and through a view, beside a branch that is too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool = nn.Conv2d(3, 8, 3, padding=1), nn.AvgPool2d(2)
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.conv3, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(16, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.stem(images)
        shortcut, maps = self.pool(maps), self.conv1(maps)
        rows = shortcut.flatten(2)
        rows.mul_(2)
        functional.relu(maps, inplace=True)
        shortcut.add_(self.conv2(maps))
        maps = self.conv3(shortcut)
        maps += shortcut
        return self.head(torch.cat((maps.mean((2, 3)), rows.mean(2)), 1))


class ExportedBranches(nn.Module):
    """A number for each image and two branches, which only torch.export takes: Python reads a size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv1, self.norm1 = nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.norm(self.stem(images))
        if maps.shape[2] > 1:
            maps = functional.relu(maps)
        scale, shortcut = maps.mean((1, 2, 3)), functional.avg_pool2d(maps, 2)
        maps = functional.relu(self.norm1(self.conv1(maps)))
        maps = (self.norm2(self.conv2(maps)) + shortcut) * scale[:, None, None, None]
        return self.head(functional.dropout(maps.mean((2, 3)), 0.5, self.training))
