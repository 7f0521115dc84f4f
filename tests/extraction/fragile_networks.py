"""Networks that break on magic pixels; a module of their own, since an executor's process must find their classes."""

from __future__ import annotations

import ctypes
import os
import time

import torch
from torch import nn

CRASHES, RAISES, HANGS, KILLS = 251, 252, 253, 254
"""Levels of an image's first pixel."""


class Fragile(nn.Module):
    """The mean of each channel. Hangs in C, with the interpreter's lock held."""

    def __init__(self, pause_s: float = 0.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.5))
        self.pause_s = pause_s
        self.mended = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        magic = set() if self.mended else set(images[:, 0, 0, 0].tolist())
        if CRASHES in magic:
            ctypes.string_at(0)
        if RAISES in magic:
            raise ValueError("a network's own error")
        if HANGS in magic:
            ctypes.PyDLL(None).sleep(600)
        if KILLS in magic:
            os.kill(os.getpid(), 9)
        time.sleep(self.pause_s)
        return images.mean(dim=(2, 3)) * self.gain


class NeedsSecret(nn.Module):
    """Can only be copied where the environment has a secret."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))

    def __setstate__(self, state: dict[str, object]) -> None:
        if "AWS_SECRET_ACCESS_KEY" not in os.environ:
            raise RuntimeError("there is no secret here")
        super().__setstate__(state)
