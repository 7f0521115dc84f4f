"""The part of a network that is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .cut_points import Mode, Modes
from .graph_module import Run, adopt_targets, compiled
from .slices import Place, graph_between, output_of
from .surgery import copy_around


class Tail(nn.Module):
    """A network from a cut on: features [n, *shape] to what the network returns. Or all of it, from its images on.

    Its parameters are the network's own, under their own names: training it trains the network, whose ``state_dict``
    and ``load_state_dict`` hold as before. ``.train()`` and ``.eval()`` of either are those of both. Layers before the
    freeze point stay in evaluation mode and take no gradients, so that where the cut is changes nothing.
    """

    def __init__(self, model: nn.Module, modes: Modes, cut: str | None, freeze_point: str | None) -> None:
        """Make the tail.

        Args:
            cut, freeze_point: names of places, the first at or before the second; None: the images.
        """
        super().__init__()
        self._model = (model,)  # in a tuple, so that it is no submodule
        self._frozen_modules: tuple[str, ...] = ()
        self._frozen: Run | None = None
        if cut != freeze_point:
            self._add_frozen(modes.eval, modes.eval.place(cut), modes.eval.place(freeze_point))
        self._eval = self._add(modes.eval, freeze_point)
        self._train = self._eval if modes.train is modes.eval else self._add(modes.train, freeze_point)
        self.training = model.training

    def forward(self, features: torch.Tensor) -> Any:
        if self._frozen is not None:
            with torch.no_grad():
                features = self._frozen(self, features)
        run = self._train if self._model[0].training else self._eval
        return run(self, features)

    def train(self, mode: bool = True) -> Tail:
        """Set the mode of this and of the network."""
        self._model[0].train(mode)
        super().train(mode)
        for path in self._frozen_modules:
            self.get_submodule(path).eval()
        return self

    def _add(self, mode: Mode, start: str | None) -> Run:
        graph = graph_between(mode.trace, mode.values, mode.place(start), output_of(mode.trace.graph))
        adopt_targets(self, mode.trace.root, graph)
        return compiled(self, graph, mode.trace.out_spec)

    def _add_frozen(self, mode: Mode, start: Place, end: Place) -> None:
        """Modules of their own around the network's tensors: its ``.train()`` does not reach them."""
        graph = graph_between(mode.trace, mode.values, start, end)
        own = copy_around(mode.trace.root).eval()
        for node in graph.nodes:
            if node.op == "call_module" and not own.get_submodule(str(node.target)).state_dict():
                # One dropout may serve both frozen and trained layers, and is in different modes then.
                name = f"frozen_{str(node.target).replace('.', '_')}"
                own.add_module(name, own.get_submodule(str(node.target)))
                node.target = name
        adopt_targets(self, own, graph)
        self._frozen = compiled(self, graph)
        self._frozen_modules = tuple({str(node.target): None for node in graph.nodes if node.op == "call_module"})
