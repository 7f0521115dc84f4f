"""Tensors that cross a cut together, as one: features are stored as one tensor.

Side by side in a row for each image: [n, total]. A tensor alone stays as it is.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import torch
from torch.fx import Graph, Node

Shapes = Sequence[tuple[int, ...]]
"""Of one image's part of each tensor."""


def packed_shape(shapes: Shapes) -> tuple[int, ...]:
    """Of one image's features."""
    return shapes[0] if len(shapes) == 1 else (sum(map(math.prod, shapes)),)


def pack(graph: Graph, tensors: Sequence[Node], shapes: Shapes) -> Node:
    """Add to a graph what makes one tensor of several."""
    if len(tensors) == 1:
        return tensors[0]
    rows = [
        graph.call_method("reshape", (one, -1, math.prod(shape))) for one, shape in zip(tensors, shapes, strict=True)
    ]
    return graph.call_function(torch.cat, (rows, 1))


def unpack(graph: Graph, features: Node, shapes: Shapes) -> list[Node]:
    """Add to a graph what makes the tensors again."""
    if len(shapes) == 1:
        return [features]
    tensors, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        rows = graph.call_function(operator.getitem, (features, (slice(None), slice(start, stop))))
        # Contiguous, as networks that use view() expect.
        tensors.append(graph.call_method("contiguous", (graph.call_method("reshape", (rows, -1, *shape)),)))
        start = stop
    return tensors
