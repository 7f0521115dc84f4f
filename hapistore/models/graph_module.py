"""Modules that run part of a traced network on that network's own tensors, under their own names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn
from torch.fx import Graph, GraphModule
from torch.utils import _pytree as pytree

Run = Callable[[nn.Module, torch.Tensor], Any]
"""A graph as a function of the module that has its tensors, and of what it is given."""


class GraphPart(nn.Module):
    """One graph, on the tensors of a root."""

    def __init__(self, root: nn.Module, graph: Graph) -> None:
        super().__init__()
        adopt_targets(self, root, graph)
        self._run = compiled(self, graph)

    def forward(self, features: torch.Tensor) -> Any:
        return self._run(self, features)


def compiled(module: nn.Module, graph: Graph, out_spec: pytree.TreeSpec | None = None) -> Run:
    """A graph as a function; ``module`` has its targets."""
    run = cast(Run, type(GraphModule(module, graph)).forward)
    if out_spec is None:
        return run
    return lambda module, features: pytree.tree_unflatten(run(module, features), out_spec)


def adopt_targets(module: nn.Module, root: nn.Module, graph: Graph) -> None:
    """Give a module what a graph uses of a root: the same objects, under the same paths."""
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            _adopt(module, root, str(node.target))


def _adopt(module: nn.Module, root: nn.Module, path: str) -> None:
    *parents, leaf = path.split(".")
    for name in parents:
        root = cast(nn.Module, getattr(root, name))
        if name not in dict(module.named_children()):
            module.add_module(name, nn.Module())
        module = cast(nn.Module, getattr(module, name))
        if module is root:  # all of it is there
            return
    value = getattr(root, leaf)
    if isinstance(value, nn.Module):
        module.add_module(leaf, value)
    elif isinstance(value, nn.Parameter):
        module.register_parameter(leaf, value)
    elif isinstance(value, torch.Tensor):
        module.register_buffer(leaf, value, persistent=leaf in root.state_dict())
    else:
        setattr(module, leaf, value)
