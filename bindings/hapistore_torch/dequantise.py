"""Features from stored values on an accelerator: a quarter of the bytes crosses to it, and less."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .feed import Fed


class Dequantise(nn.Module):
    """Turns what a pipe with ``dequantise=False`` gives into features, wherever the values are.

    Shards' parameters are read when a value of theirs is first seen, and stay on its device.

    Args:
        pipe: a pipe or dataset of features. What is drawn decides whose parameters a number means, so it is asked.
    """

    def __init__(self, pipe: Fed) -> None:
        super().__init__()
        self._feed = pipe._feed
        axes = len(self._feed.reader.view.shape)
        # Of tokens the channels come last, of maps first.
        self._shape = (1, -1) if axes == 2 else (-1, *(1,) * (axes - 1))
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
            parameters = [torch.from_numpy(values).to(device) for values in self._feed.reader.parameters(new)]
            tables = self._tables or tuple(values[:0] for values in parameters)
            joined = [torch.cat([table.to(device), values]) for table, values in zip(tables, parameters, strict=True)]
            order = np.argsort(np.concatenate([self._known, new]))
            self._known = np.concatenate([self._known, new])[order]
            self._tables = tuple(table[torch.from_numpy(order).to(device)] for table in joined)
        return torch.searchsorted(torch.from_numpy(self._known).to(device), sources.to(device))
