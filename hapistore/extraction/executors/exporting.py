"""A prefix's module as a graph, for those who do not run torch's own modules."""

from __future__ import annotations

import warnings

import torch
from torch import nn

# Two examples keep torch.export from taking the batch for a constant.
_EXAMPLE_BATCH = 2


def export_module(module: nn.Module, pixel_shape: tuple[int, ...]) -> torch.export.ExportedProgram:
    """uint8 [batch, height, width, 3] to features, any batch; on the CPU."""
    example = torch.zeros((_EXAMPLE_BATCH, *pixel_shape), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, about torch's own code
        return torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
