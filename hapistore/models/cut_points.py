"""The places where a traced network may be cut: every value that all of the rest follows from, and nothing besides.

That is one float tensor with a row for each image, with weights on both sides of it. Where two tensors cross, as
inside a residual block, is no cut: features are stored as one tensor.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.fx import Graph, Node
from torch.fx.node import map_arg

from .graph_values import GraphValues, values_of
from .slices import graph_between, parameters_of, part_between
from .traces import Trace, Traces


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One place.

    Attributes:
        index: from 1, ascending with depth.
        name: path of the module whose output it is (``layer1.0.relu``), or path and operator (``features.relu``), with
            ``#2`` behind it where that happens a second time.
        shape: of one image's features.
    """

    index: int
    name: str
    shape: tuple[int, ...]

    @property
    def bytes_per_image(self) -> int:
        """As float32."""
        return 4 * math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Mode:
    """A graph with what is known of it.

    Attributes:
        places: the values it may be cut at, by name, ascending with depth.
    """

    trace: Trace
    values: GraphValues
    places: dict[str, Node]

    @classmethod
    def of(cls, trace: Trace, image_px: tuple[int, int]) -> Mode:
        """Find the places."""
        values = values_of(trace, image_px)
        nodes = [node for node in values.feature_shapes if _may_be_cut(trace, values, node)]
        seen: Counter[str] = Counter()
        places = {}
        for node in nodes:
            name = _name(node)
            seen[name] += 1
            places[name if seen[name] == 1 else f"{name}#{seen[name]}"] = node
        return cls(trace, values, places)


@dataclass(frozen=True, eq=False)
class Modes:
    """Both modes, the same object where their graphs are equal."""

    eval: Mode
    train: Mode

    @classmethod
    def of(cls, traces: Traces, image_px: tuple[int, int]) -> Modes:
        """Find the places of both."""
        found = Mode.of(traces.eval, image_px)
        return cls(found, found if traces.train is traces.eval else Mode.of(traces.train, image_px))

    def cuts(self) -> tuple[Cut, ...]:
        """The places that both modes have, where none of a kind is in one mode only: else ``mul`` of the one might be
        ``mul#2`` of the other."""
        of_eval, of_train = (Counter(map(_kind, mode.places)) for mode in (self.eval, self.train))
        names = [name for name in self.eval.places if of_eval[_kind(name)] == of_train[_kind(name)]]
        shapes = self.eval.values.feature_shapes
        return tuple(
            Cut(index=index, name=name, shape=shapes[self.eval.places[name]]) for index, name in enumerate(names, 1)
        )

    def depends_on_mode(self, start: str, end: str) -> bool:
        """Whether anything between two places is done in training only, or otherwise."""
        of_eval, of_train = (
            graph_between(mode.trace, mode.values, mode.places[start], mode.places[end])
            for mode in (self.eval, self.train)
        )
        if _text(of_eval) != _text(of_train):
            return True
        modules = [self.eval.trace.root.get_submodule(str(n.target)) for n in of_eval.nodes if n.op == "call_module"]
        return any("training" in type(module).forward.__code__.co_names for module in modules)


def _kind(name: str) -> str:
    return name.partition("#")[0]


def _text(graph: Graph) -> list[str]:
    """What a graph does, whatever its nodes are called."""
    number = {node: place for place, node in enumerate(graph.nodes)}
    return [
        f"{node.op} {node.target} {map_arg((node.args, node.kwargs), lambda other: number[other])}"
        for node in graph.nodes
    ]


def module_path(node: Node) -> str:
    """Path of the module that a node is, or was traced in."""
    if node.op == "call_module":
        return str(node.target)
    stack: dict[str, Any] = node.meta.get("nn_module_stack") or {"": ("", nn.Module)}
    return str(list(stack.values())[-1][0])


def _name(node: Node) -> str:
    path = module_path(node)
    if node.op == "call_module":
        return path
    target = node.target
    operator = str(target) if isinstance(target, str) else str(getattr(target, "__name__", target))
    operator = operator.partition(".")[0].strip("_")
    return f"{path}.{operator}" if path else operator


def _may_be_cut(trace: Trace, values: GraphValues, node: Node) -> bool:
    if node.op == "placeholder":
        return False
    for start, end in ((node, None), (None, node)):
        part = part_between(trace, values, start, end)
        if part is None or not any(True for _ in parameters_of(part, trace.root)):
            return False
    return True
