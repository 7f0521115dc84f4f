"""What the values of a graph are called: by the module that made them, and by the operator where that is no module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.fx import Node


def names_of(nodes: Iterable[Node]) -> dict[Node, str]:
    """A name for each node, with ``#2`` behind it where that is the second of its kind; nodes may come again."""
    seen: Counter[str] = Counter()
    names: dict[Node, str] = {}
    for node in nodes:
        if node not in names:
            kind = _kind(node)
            seen[kind] += 1
            names[node] = kind if seen[kind] == 1 else f"{kind}#{seen[kind]}"
    return names


def kind_of(name: str) -> str:
    """A name without its number."""
    return name.partition("#")[0]


def module_path(node: Node) -> str:
    """Path of the module that a node is, or was traced in."""
    if node.op == "call_module":
        return str(node.target)
    stack: dict[str, Any] = node.meta.get("nn_module_stack") or {"": ("", nn.Module)}
    return str(list(stack.values())[-1][0])


def _kind(node: Node) -> str:
    path = module_path(node)
    if node.op == "call_module":
        return path
    target = node.target
    operator = str(target) if isinstance(target, str) else str(getattr(target, "__name__", target))
    operator = operator.partition(".")[0].strip("_")
    return f"{path}.{operator}" if path else operator
