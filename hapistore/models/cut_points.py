"""The places where a traced network may be cut: a few values that all of the rest follows from, and nothing besides.

One float tensor with a row for each image, with weights on both sides of it. Or up to three, as where the branches of
a block reduce what came before it: only where they are smaller than the last tensor that crossed alone, since the cut
at that one has the shorter prefix.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch.fx import Graph, Node
from torch.fx.node import map_arg

from .crossings import crossings
from .graph_values import GraphValues, values_of
from .node_names import kind_of, names_of
from .packing import packed_shape
from .slices import Place, graph_between, images_of, part_between
from .traces import Trace, Traces


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One place.

    Attributes:
        index: from 1, ascending with depth.
        name: path of the module whose output it is (``layer1.0.relu``), or path and operator (``features.relu``), with
            ``#2`` behind it where that happens a second time; of several tensors their names, joined by ``+``. Values
            that cross alone somewhere are counted before those that never do.
        parts: shape of one image's part of each tensor that crosses, in the order of the name.
    """

    index: int
    name: str
    parts: tuple[tuple[int, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image's features; of several tensors ``(total,)``, as they lie one behind the other."""
        return packed_shape(self.parts)

    @property
    def bytes_per_image(self) -> int:
        """As float32."""
        return 4 * math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Mode:
    """A graph with what is known of it.

    Attributes:
        names: of the values that cross somewhere, alone or with others.
        places: where it may be cut, by name, ascending with depth.
    """

    trace: Trace
    values: GraphValues
    names: dict[Node, str]
    places: dict[str, Place]

    @classmethod
    def of(cls, trace: Trace, image_px: tuple[int, int]) -> Mode:
        """Find the places."""
        values = values_of(trace, image_px)
        found = list(crossings(trace, values))
        # Those that cross alone are numbered first, so that no other changes their names.
        names = names_of(node for place in sorted(found, key=lambda place: len(place) > 1) for node in place)
        return cls(trace, values, names, {"+".join(names[node] for node in place): place for place in found})

    def place(self, name: str | None) -> Place:
        """One by its name; None: the images."""
        return images_of(self.trace.graph) if name is None else self.places[name]

    def parts(self, name: str) -> tuple[tuple[int, ...], ...] | None:
        """Shapes of what crosses there; None where there is no such place."""
        place = self.places.get(name)
        return None if place is None else self.values.shapes_of(place)

    def kinds(self) -> Counter[tuple[str, bool]]:
        """How many values cross under each name but for its number, and alone somewhere or not."""
        return Counter((kind_of(name), name in self.places) for name in self.names.values())


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
        """The places that are worth a cut."""
        cuts: list[Cut] = []
        alone = 0  # bytes of the last tensor that crossed alone
        for name in self._places_of_both():
            one = Cut(index=len(cuts) + 1, name=name, parts=self.eval.values.shapes_of(self.eval.places[name]))
            if len(one.parts) == 1:
                alone = one.bytes_per_image
            elif one.bytes_per_image >= alone:
                continue
            cuts.append(one)
        return tuple(cuts)

    def _places_of_both(self) -> Iterator[str]:
        """Where none of a kind crosses in one mode only: else ``mul`` of the one might be ``mul#2`` of the other."""
        of_eval, of_train = self.eval.kinds(), self.train.kinds()
        for name, place in self.eval.places.items():
            kinds = [kind_of(self.eval.names[node]) for node in place]
            # Those that cross alone are numbered without regard to the others.
            counted = itertools.product(kinds, (True,) if len(place) == 1 else (True, False))
            same = all(of_eval[one] == of_train[one] for one in counted)
            if same and self.eval.parts(name) == self.train.parts(name):
                yield name

    def prefix_nodes(self, name: str) -> set[Node]:
        """What a place is computed by, from the images."""
        mode = self.eval
        return part_between(mode.trace, mode.values, mode.place(None), mode.place(name)) or set()

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


def _text(graph: Graph) -> list[str]:
    """What a graph does, whatever its nodes are called."""
    number = {node: place for place, node in enumerate(graph.nodes)}
    return [
        f"{node.op} {node.target} {map_arg((node.args, node.kwargs), lambda other: number[other])}"
        for node in graph.nodes
    ]
