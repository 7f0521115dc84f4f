"""Parts of a graph between two of its values, as graphs of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn
from torch.fx import Graph, Node

from .graph_values import BATCH, GraphValues
from .traces import Trace, overwritten_by


def output_of(graph: Graph) -> Node:
    """The output node."""
    return next(iter(reversed(graph.nodes)))


def part_between(trace: Trace, values: GraphValues, start: Node | None, end: Node | None) -> set[Node] | None:
    """The nodes that compute ``end`` from ``start`` alone; None where they need the images besides.

    Args:
        start: a value; None: the images. end: a value; None: the output.
    """
    waiting, found = [end or output_of(trace.graph)], set[Node]()
    while waiting:
        node = waiting.pop()
        if node is start or node in found or node in values.plain:
            continue
        if node.op == "placeholder":
            if start is None:
                continue
            return None
        found.add(node)
        waiting.extend(node.all_input_nodes)
    return found


def graph_between(trace: Trace, values: GraphValues, start: Node | None, end: Node | None) -> Graph:
    """The graph from one value to another; what it is given stays as it is.

    Sizes that the network read from values before ``start`` are constants in it, and the number of images is read
    from what it is given.

    Raises:
        ValueError: ``end`` does not follow from ``start`` alone.
    """
    nodes = part_between(trace, values, start, end)
    if nodes is None:
        raise ValueError(f"{end} does not follow from {start} alone")
    graph = Graph()
    source = graph.placeholder("images" if start is None else "features")
    first = start or next(node for node in trace.graph.nodes if node.op == "placeholder")
    if first in values.overwritten:
        source = graph.call_method("clone", (source,))
    copied: dict[Node, Node] = {first: source}

    def copy_of(node: Node) -> Any:
        if node in copied:
            return copied[node]
        value = values.plain[node]
        return graph.call_method("size", (source, 0)) if value is BATCH else value

    nodes |= _counters(trace, nodes)
    for node in trace.graph.nodes:
        if node in nodes:
            copied[node] = graph.node_copy(node, copy_of)
    if end is not None:
        graph.output(copied[end])
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
