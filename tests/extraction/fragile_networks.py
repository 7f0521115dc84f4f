"""Networks that break on magic pixels, by an operator of their own, which an executor's process has to know.

It learns of it from ``child_site/sitecustomize.py``, where that folder and this one are on its path.
"""

from __future__ import annotations

import ctypes
import os
import time

import torch
from torch import nn

CRASHES, RAISES, HANGS, KILLS = 251, 252, 253, 254
"""Levels of an image's first pixel."""

_OPERATORS = torch.library.Library("hapistore_test", "DEF")
_OPERATORS.define("fragile(Tensor images, float pause_s, bool mended) -> Tensor")
_OPERATORS.define("secretive(Tensor images) -> Tensor")


@torch.library.impl(_OPERATORS, "fragile", "CPU")
def _fragile(images: torch.Tensor, pause_s: float, mended: bool) -> torch.Tensor:
    magic = set() if mended else set(images[:, 0, 0, 0].tolist())
    if CRASHES in magic:
        ctypes.string_at(0)
    if RAISES in magic:
        raise ValueError("a network's own error")
    if HANGS in magic:  # in C, with the interpreter's lock held
        ctypes.PyDLL(None).sleep(600)
    if KILLS in magic:
        os.kill(os.getpid(), 9)
    time.sleep(pause_s)
    return images.mean(dim=(2, 3))


@torch.library.impl(_OPERATORS, "secretive", "CPU")
def _secretive(images: torch.Tensor) -> torch.Tensor:
    if "AWS_SECRET_ACCESS_KEY" not in os.environ:
        raise RuntimeError("there is no secret here")
    return images.mean(dim=(2, 3))


@torch.library.impl(_OPERATORS, "fragile", "Meta")
def _fragile_shape(images: torch.Tensor, pause_s: float, mended: bool) -> torch.Tensor:
    return images.new_empty((images.shape[0], images.shape[1]))


@torch.library.impl(_OPERATORS, "secretive", "Meta")
def _secretive_shape(images: torch.Tensor) -> torch.Tensor:
    return images.new_empty((images.shape[0], images.shape[1]))


class Fragile(nn.Module):
    """The mean of each channel, times a parameter."""

    def __init__(self, pause_s: float = 0.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.5))
        self.pause_s = pause_s
        self.mended = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.ops.hapistore_test.fragile(images, self.pause_s, self.mended) * self.gain


class NeedsSecret(nn.Module):
    """Runs only where the environment has a secret."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.ops.hapistore_test.secretive(images)


class Undecided(nn.Module):
    """What it does depends on the pixels, so it cannot be exported."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) if images.sum() > 1 else images.amax(dim=(2, 3))
