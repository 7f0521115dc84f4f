"""What the values of a graph are, by running it twice on tensors without data: how they follow the number of images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import Interpreter, Node

from .surgery import copy_around
from .traces import Trace, overwritten_by

# Two numbers of images, so that what is equal in both runs does not depend on it.
_IMAGES = (2, 3)
_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format)

BATCH = object()
"""Stands for the number of images."""


@dataclass(frozen=True)
class GraphValues:
    """What is known of the values of a graph.

    Attributes:
        feature_shapes: shape of one image's part, of each float32 tensor that has one row an image.
        plain: values that are no tensors and either never change, or are the number of images: `BATCH`.
        overwritten: tensors that a later operator works on in place, or on a view of, each with a number that views of
            one memory share.
    """

    feature_shapes: dict[Node, tuple[int, ...]]
    plain: dict[Node, Any]
    overwritten: dict[Node, int]

    def shapes_of(self, nodes: Iterable[Node]) -> tuple[tuple[int, ...], ...]:
        """Of one image's part of each."""
        return tuple(self.feature_shapes[node] for node in nodes)


def values_of(trace: Trace, image_px: tuple[int, int]) -> GraphValues:
    """Run a graph without computing anything; nothing of the network changes, its random state neither."""
    few, more = (_Run(trace, images, image_px) for images in _IMAGES)
    shapes, plain = {}, {}
    for node, first in few.values.items():
        second = more.values[node]
        if isinstance(first, torch.Tensor):
            if _per_image(first, second):
                shapes[node] = tuple(first.shape[1:])
        elif node.op != "get_attr" and _is_plain(first):
            if first == second:
                plain[node] = first
            elif (first, second) == _IMAGES:
                plain[node] = BATCH
    return GraphValues(shapes, plain, {node: few.memories[node] for node in few.overwritten})


def _per_image(first: torch.Tensor, second: Any) -> bool:
    sizes = first.dim() > 0 and (first.shape[0], second.shape[0]) == _IMAGES
    return sizes and first.shape[1:] == second.shape[1:] and first.dtype == torch.float32


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)


class _Run(Interpreter):
    """Values by node, and which of them were overwritten since they were made."""

    def __init__(self, trace: Trace, images: int, image_px: tuple[int, int]) -> None:
        mode = FakeTensorMode(allow_non_fake_inputs=True)
        super().__init__(_without_data(trace.root, mode), graph=trace.graph)
        self.values: dict[Node, Any] = {}
        self.memories: dict[Node, int] = {}  # which storage a tensor is in
        self.overwritten: set[Node] = set()
        self._versions: dict[Node, int] = {}
        with mode, torch.no_grad():
            device = next((tensor.device for tensor in trace.root.parameters()), torch.device("cpu"))
            self.run(torch.empty((images, 3, *image_px), device=device))
        self.overwritten |= {n for n, version in self._versions.items() if self.values[n]._version != version}

    def run_node(self, n: Node) -> Any:
        # Whether or not it is done in the mode that the network happens to be in: a dropout does nothing in one.
        target = overwritten_by(n, self.module)
        if target is not None:
            memory = self.memories.get(target)
            self.overwritten |= {made for made, other in self.memories.items() if other == memory}
        value = super().run_node(n)
        if n.op != "output":
            self.values[n] = value
            if isinstance(value, torch.Tensor):
                self._versions[n] = value._version
                self.memories[n] = value.untyped_storage()._cdata
        return value


def _without_data(root: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """A copy of a network whose tensors have shapes only: it takes no memory."""

    def fake_of(tensor: torch.Tensor) -> torch.Tensor:
        fake = mode.from_tensor(tensor.detach())
        return nn.Parameter(fake, requires_grad=False) if isinstance(tensor, nn.Parameter) else fake

    return copy_around(root, fake_of)
