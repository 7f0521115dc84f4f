"""Cutting any network in two: a frozen prefix for the storage tier, and a tail that is trained in place."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from operator import itemgetter

import torch
from torch import nn

from ..errors import UsageError
from .cut_points import Cut, Modes
from .graph_module import GraphPart
from .node_names import module_path
from .prefix import frozen_copy, one_line
from .slices import Place, graph_between, parameters_of
from .tail import Tail
from .traces import Trace, trace_modes


@dataclass(frozen=True, eq=False)
class TracedNetwork:
    """A network and the places where it may be cut.

    Attributes:
        model: the user's own.
        image_px: (height, width) it was traced with; its parts are for images of that size.
        cuts: ascending with depth.
    """

    model: nn.Module
    image_px: tuple[int, int]
    cuts: tuple[Cut, ...]
    _modes: Modes
    _parameters: tuple[dict[str, nn.Parameter], ...]  # of the prefix of each cut

    @property
    def freeze_index(self) -> int:
        """Index of the last cut before anything trained; 0 where there is none.

        That is before any trainable parameter (``requires_grad``), and before dropout that follows the last frozen
        one: it belongs to the layers behind it, and is no part of what stays the same in every epoch.
        """
        frozen = [one for one in self.cuts if self._trainable_before(one) is None]
        if not frozen:
            return 0
        most = len(self._parameters[frozen[-1].index - 1])
        found = next(one for one in frozen if len(self._parameters[one.index - 1]) == most)
        for one in frozen[found.index :]:
            if self._modes.depends_on_mode(found.name, one.name):
                break
            found = one
        return found.index

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next((parameter.device for parameter in self.model.parameters()), torch.device("cpu"))

    def digest(self) -> str:
        """SHA-256 (hex) of what the network computes: graphs, names and shapes, and the values of what is frozen."""
        found = hashlib.sha256(
            f"{self.image_px}\n{self._modes.eval.trace.graph}\n{self._modes.train.trace.graph}".encode()
        )
        for name, parameter in sorted(self.model.named_parameters()):
            found.update(f"{name}\0{parameter.dtype}\0{tuple(parameter.shape)}\0".encode())
            if parameter.numel() and not parameter.requires_grad:
                found.update(parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return found.hexdigest()

    @property
    def eval_trace(self) -> Trace:
        """The graph in evaluation mode."""
        return self._modes.eval.trace

    def place(self, cut: Cut) -> Place:
        """The values of that graph that cross a cut."""
        return self._modes.eval.place(cut.name)

    def freeze(self, until: str) -> None:
        """Make all parameters untrainable up to and including a module or the layer of a cut.

        Args:
            until: path of a module, or name of a cut.

        Raises:
            UsageError: there is no such module in use, and no such cut.
        """
        for _, parameter in parameters_of(self._nodes_until(until), self._modes.eval.trace.root):
            parameter.requires_grad_(False)

    def cut(self, at: int | str) -> tuple[nn.Module, Tail]:
        """The two parts.

        Args:
            at: index or name of a cut; at most the freeze index.

        Returns:
            the prefix, a frozen copy in evaluation mode: float32 [n, 3, height, width] to [n, *shape]; and the tail,
            which shares the network's parameters.

        Raises:
            UsageError: there is no such cut, or it lies past the freeze index.
        """
        chosen = self._find(at)
        freeze_index = self.freeze_index
        if chosen.index > freeze_index:
            trainable = self._trainable_before(chosen)
            what = f"the parameter {trainable}, which is trainable" if trainable else "dropout before what is trained"
            raise UsageError(
                f"cut {chosen.index} ({chosen.name}) lies past {what}; freeze more, or cut at {freeze_index} or before"
            )
        mode = self._modes.eval
        graph = graph_between(mode.trace, mode.values, mode.place(None), mode.place(chosen.name))
        prefix = frozen_copy(GraphPart(mode.trace.root, graph), type(self.model).__name__)
        return prefix, Tail(self.model, self._modes, chosen.name, self.cuts[freeze_index - 1].name)

    def whole(self) -> Tail:
        """The network from its images on, trained as from any cut: what comes before the freeze index stays frozen.

        Returns:
            the tail of a cut at the images: float32 [n, 3, height, width], normalised, to what the network returns. It
            shares the network's parameters; where the freeze index is 0, all of it is trained.
        """
        index = self.freeze_index
        return Tail(self.model, self._modes, None, self.cuts[index - 1].name if index else None)

    def _find(self, at: int | str) -> Cut:
        for one in self.cuts:
            if at in (one.index, one.name):
                return one
        if isinstance(at, int):
            raise UsageError(f"there is no cut {at}; they are 1 to {len(self.cuts)}")
        raise UsageError(f"there is no cut {at!r}{self._close_to(at, [one.name for one in self.cuts])}")

    def _nodes_until(self, until: str) -> list[torch.fx.Node]:
        mode, cuts = self._modes.eval, [one.name for one in self.cuts]
        if until in cuts:
            return list(self._modes.prefix_nodes(until))
        nodes = list(mode.trace.graph.nodes)
        inside = [place for place, node in enumerate(nodes) if f"{module_path(node)}.".startswith(f"{until}.")]
        if not until or not inside:
            known = [*cuts, *(path for path, _ in self.model.named_modules())]
            raise UsageError(f"there is no module and no cut {until!r}{self._close_to(until, known)}")
        return nodes[: inside[-1] + 1]

    def _trainable_before(self, cut: Cut) -> str | None:
        """A trainable parameter of the prefix, by name; None where all of it is frozen."""
        parameters = self._parameters[cut.index - 1]
        return next((name for name, parameter in parameters.items() if parameter.requires_grad), None)

    @staticmethod
    def _close_to(name: str, known: list[str]) -> str:
        close = difflib.get_close_matches(name, known, n=3)
        return f"; did you mean {', '.join(close)}?" if close else f" among {', '.join(known[:3])}, …"


def trace(model: nn.Module, image_px: tuple[int, int]) -> TracedNetwork:
    """Find the cuts of a network. It is run once, on a black image, and is left as it is.

    Args:
        model: float32 [n, 3, height, width] to anything.

    Raises:
        UsageError: neither torch.fx nor torch.export can take it, or there is no place to cut it.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    traces = trace_modes(model, torch.zeros((2, 3, *image_px), device=device))
    try:
        modes = Modes.of(traces, image_px)
    except Exception as error:  # operators of its own, which know nothing of tensors without data
        raise UsageError(
            f"{type(model).__name__} cannot be cut: it does not run on tensors without data ({one_line(error)})"
        ) from error
    cuts = modes.cuts()
    if not cuts:
        raise UsageError(f"{type(model).__name__} has no place where one tensor crosses, so it cannot be cut")
    root = modes.eval.trace.root
    prefixes = [modes.prefix_nodes(one.name) for one in cuts]
    parameters = tuple(dict(sorted(parameters_of(nodes, root), key=itemgetter(0))) for nodes in prefixes)
    return TracedNetwork(model, image_px, cuts, modes, parameters)


def cut(
    model: nn.Module, at: int | str, *, image_px: tuple[int, int], freeze_until: str | None = None
) -> tuple[nn.Module, Tail]:
    """Trace a network and cut it: `trace`, `TracedNetwork.freeze` and `TracedNetwork.cut` in one.

    Raises:
        UsageError: as these.
    """
    network = trace(model, image_px)
    if freeze_until is not None:
        network.freeze(freeze_until)
    return network.cut(at)
