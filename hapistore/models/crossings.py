"""What crosses a graph from one operator to the next: the values made by then that later ones need."""

from __future__ import annotations

from collections.abc import Iterator

from torch.fx import Node

from .graph_values import GraphValues
from .slices import Place, images_of, output_of, parameters_of, part_between
from .traces import Trace

MOST_PARTS = 3
"""Tensors that may cross together: a shortcut beside a branch, or the branches of a block that few join."""


def crossings(trace: Trace, values: GraphValues) -> Iterator[Place]:
    """Every place where a few float tensors with a row for each image cross, with weights on both sides of it.

    They come in the order of the graph, so that each follows from any before it. What depends on no image (weights,
    sizes) does not cross: whoever needs it computes it.
    """
    images, output = images_of(trace.graph), output_of(trace.graph)
    nodes = list(_from_images_to_output(trace, values))
    last_use = {one: place for place, node in enumerate(nodes) for one in node.all_input_nodes}
    live, behind_weights = images, False
    for place, node in enumerate(nodes):
        live = tuple(one for one in (*live, node) if last_use.get(one, -1) > place)
        if not _may_cross(live, values):
            continue
        behind_weights = behind_weights or _have_weights(trace, values, images, live)
        if not behind_weights:
            continue
        if not _have_weights(trace, values, live, output):
            return
        yield live


def _from_images_to_output(trace: Trace, values: GraphValues) -> Iterator[Node]:
    """In the order of the graph, what depends on the images and the output on it."""
    needed = part_between(trace, values, images_of(trace.graph), output_of(trace.graph)) or set()
    following = set(images_of(trace.graph))
    for node in trace.graph.nodes:
        if node in needed and not following.isdisjoint(node.all_input_nodes):
            following.add(node)
            yield node


def _may_cross(live: Place, values: GraphValues) -> bool:
    known = 0 < len(live) <= MOST_PARTS and all(node in values.feature_shapes for node in live)
    # Behind the cut each is a tensor of its own: what overwrote one of two views would not show in the other.
    memories = [values.overwritten[node] for node in live if node in values.overwritten]
    return known and len(set(memories)) == len(memories)


def _have_weights(trace: Trace, values: GraphValues, starts: Place, ends: Place) -> bool:
    nodes = part_between(trace, values, starts, ends) or ()
    return any(True for _ in parameters_of(nodes, trace.root))
