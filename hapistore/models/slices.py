"""Parts of a graph between two of its places, as graphs of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn
from torch.fx import Graph, Node

from .graph_values import BATCH, GraphValues
from .packing import pack, unpack
from .traces import Trace, overwritten_by

Place = tuple[Node, ...]
"""Values that cross a cut together, in the order in which they are made."""


def images_of(graph: Graph) -> Place:
    """What a network is given."""
    return tuple(node for node in graph.nodes if node.op == "placeholder")


def output_of(graph: Graph) -> Place:
    """The output node."""
    return (next(iter(reversed(graph.nodes))),)


def part_between(trace: Trace, values: GraphValues, starts: Place, ends: Place) -> set[Node] | None:
    """The nodes that compute some values from others alone; None where they need the images besides."""
    waiting, found = list(ends), set[Node]()
    while waiting:
        node = waiting.pop()
        if node in starts or node in found or node in values.plain:
            continue
        if node.op == "placeholder":
            return None
        found.add(node)
        waiting.extend(node.all_input_nodes)
    return found


def graph_between(trace: Trace, values: GraphValues, starts: Place, ends: Place) -> Graph:
    """The graph from one place to another, of one tensor to one (`packing`); what it is given stays as it is.

    Sizes that the network read from values before ``starts`` are constants in it, and the number of images is read
    from what it is given.

    Raises:
        ValueError: ``ends`` do not follow from ``starts`` alone.
    """
    nodes = part_between(trace, values, starts, ends)
    if nodes is None:
        raise ValueError(f"{ends} do not follow from {starts} alone")
    graph = Graph()
    features = graph.placeholder("features")
    copied = dict(zip(starts, unpack(graph, features, values.shapes_of(starts)), strict=True))
    for node in starts:
        if node in values.overwritten:
            copied[node] = graph.call_method("clone", (copied[node],))

    def copy_of(node: Node) -> Any:
        if node in copied:
            return copied[node]
        value = values.plain[node]
        return graph.call_method("size", (features, 0)) if value is BATCH else value

    nodes |= _counters(trace, nodes)
    for node in trace.graph.nodes:
        if node in nodes:
            copied[node] = graph.node_copy(node, copy_of)
    if ends != output_of(trace.graph):
        graph.output(pack(graph, [copied[node] for node in ends], values.shapes_of(ends)))
    return graph


def _counters(trace: Trace, nodes: set[Node]) -> set[Node]:
    """What counts the steps of the batch norms among the nodes: in an exported graph operators whose result nobody
    uses."""
    modules = {_owner(node) for node in nodes if node.op == "get_attr"}
    found = set[Node]()
    for node in trace.graph.nodes:
        counter = None if node.users else overwritten_by(node, trace.root)
        if counter is not None and counter.op == "get_attr" and _owner(counter) in modules:
            found |= {node, counter}
    return found


def _owner(attribute: Node) -> str:
    return str(attribute.target).rpartition(".")[0]


def parameters_of(nodes: Iterable[Node], root: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Names and parameters that nodes use; those of one module together."""
    for node in nodes:
        if node.op == "call_module":
            module = root.get_submodule(str(node.target))
            yield from ((f"{node.target}.{name}", parameter) for name, parameter in module.named_parameters())
        elif node.op == "get_attr":
            parent, _, leaf = str(node.target).rpartition(".")
            value = getattr(root.get_submodule(parent), leaf, None)
            if isinstance(value, nn.Parameter):
                yield str(node.target), value
