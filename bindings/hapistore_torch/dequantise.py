"""Features from stored values on an accelerator: a quarter of the bytes crosses to it, and less."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hapistore import FeatureReader, ReadOptions, View


class Dequantise(nn.Module):
    """Turns what a pipe with ``dequantise=False`` gives into features, wherever the values are.

    Shards' parameters are read when a value of theirs is first seen, and stay on its device.

    Args:
        view: the pipe's.
    """

    def __init__(self, view: View) -> None:
        super().__init__()
        self._reader = FeatureReader(view, ReadOptions(label=None))
        self._shape = (-1, *(1,) * (len(view.shape) - 1))
        if len(view.shape) == 2:  # tokens: their channels come last
            self._shape = (1, -1)
        self._known = np.zeros(0, np.int64)
        self._tables: tuple[torch.Tensor, ...] = ()

    def forward(self, stored: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """float32 [n, *shape].

        Args:
            stored: [n, *shape] as the pipe gave it; sources: int64 [n].
        """
        if stored.dtype == torch.uint16:  # numpy has no bfloat16
            return stored.view(torch.bfloat16).float()
        if stored.dtype != torch.uint8:
            return stored.float()
        places = self._places(sources, stored.device)
        scale, zero = (table[places].reshape(len(stored), *self._shape) for table in self._tables)
        return zero + scale * stored

    def _places(self, sources: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Where the parameters of each value are in the tables."""
        wanted = np.unique(sources.cpu().numpy())
        new = np.setdiff1d(wanted, self._known)
        if len(new):
            parameters = [torch.from_numpy(values).to(device) for values in self._reader.parameters(new)]
            tables = self._tables or tuple(values[:0] for values in parameters)
            joined = [torch.cat([table.to(device), values]) for table, values in zip(tables, parameters, strict=True)]
            order = np.argsort(np.concatenate([self._known, new]))
            self._known = np.concatenate([self._known, new])[order]
            self._tables = tuple(table[torch.from_numpy(order).to(device)] for table in joined)
        return torch.searchsorted(torch.from_numpy(self._known).to(device), sources.to(device))
