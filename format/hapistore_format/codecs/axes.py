"""Which axis of a feature is its channels, and the three-axis form that all kernels work on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class ChannelAxes(NamedTuple):
    """A feature's shape as (outer, channels, inner); a row is ``outer × channels × inner`` values.

    ============== ===================== ======================
    feature shape  example               (outer, channels, inner)
    ============== ===================== ======================
    (C,)           pooled                (1, C, 1)
    (T, C)         tokens of a ViT       (T, C, 1)
    (C, H, W)      map of a CNN          (1, C, H·W)
    (C, D, H, W)   map of a video CNN    (1, C, D·H·W)
    ============== ===================== ======================
    """

    outer: int
    channels: int
    inner: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> ChannelAxes:
        if len(shape) == 2:
            return cls(shape[0], shape[1], 1)
        return cls(1, shape[0], math.prod(shape[1:]))

    @property
    def row_values(self) -> int:
        return self.outer * self.channels * self.inner

    def view(self, rows: np.ndarray) -> np.ndarray:
        """[n, *shape] as [n × outer, channels, inner], without a copy where ``rows`` is contiguous."""
        return np.ascontiguousarray(rows).reshape(len(rows) * self.outer, self.channels, self.inner)
