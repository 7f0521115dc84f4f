"""Fixtures for the models' tests, and a shim that lets torchvision be imported beside a CPU build of torch."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys

import pytest
import torch

# No test may wait for a network: the hub library retries for most of a minute.
os.environ["HF_HUB_OFFLINE"] = "1"

try:
    with contextlib.suppress(ImportError):  # where it is not installed, the tests that need it are skipped
        importlib.import_module("torchvision")
except RuntimeError:
    # On a CPU build of torch its C++ operators are not loaded, and importing it fails where it registers fakes
    # for two of them. With their schemas known it works, save for the operators themselves.
    # Kept in a global: the definitions go with the object.
    _TORCHVISION_OPS = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _TORCHVISION_OPS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for _name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[_name]


@pytest.fixture(scope="session")
def some_pixels():
    """uint8 [5, 64, 48, 3] that depend on every position."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (5, 64, 48, 3), dtype=torch.uint8, generator=generator)


def random_pixels(count: int, prefix) -> torch.Tensor:
    """uint8 pixels for a prefix."""
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, *prefix.preprocess.pixel_shape), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="session")
def pixels_for():
    return random_pixels
