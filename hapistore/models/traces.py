"""A network as a graph: by torch.fx where that takes it, by torch.export where not; in both modes if they differ.

fx keeps the network's own modules as the graph's nodes, so that dropout and batch norm follow ``.train()`` by
themselves. What does not is code that asks for the mode while it runs (``F.dropout(x, training=self.training)``): there
the graphs of the two modes differ, and both are kept. Exported graphs hold no modules at all, and always come in two.
"""

from __future__ import annotations

import contextlib
import inspect
import operator
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, Node, Tracer
from torch.utils import _pytree as pytree

from ..errors import UsageError
from .prefix import one_line

_IN_PLACE_OPERATORS = {getattr(operator, name) for name in dir(operator) if name.startswith("i") and name != "is_"} - {
    operator.index, operator.inv, operator.invert, operator.indexOf, operator.is_not, operator.itemgetter,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trace:
    """One mode's graph.

    Attributes:
        root: what the graph's targets are attributes of.
        graph: one placeholder, the images; each value is used only as it is when it is used, though operators may
            work in place.
        out_spec: how the output node's flat values make what the network returns; None where they are it.
    """

    root: nn.Module
    graph: Graph
    out_spec: pytree.TreeSpec | None = None


@dataclass(frozen=True, eq=False)
class Traces:
    """Both modes' graphs, the same object where they are equal."""

    eval: Trace
    train: Trace


def trace_modes(model: nn.Module, example: torch.Tensor) -> Traces:
    """Trace a network in both modes; it stays in the modes it is in.

    Args:
        example: float32 [n, 3, height, width], n at least 2.

    Raises:
        UsageError: neither torch.fx nor torch.export can take it.
    """
    try:
        found = Traces(*_in_modes(model, _by_fx))
        _check(model, found.eval, example)
    except Exception as by_fx:  # tracing runs the network's own code
        try:
            return Traces(*_in_modes(model, lambda network: _by_export(network, example)))
        except Exception as by_export:
            raise UsageError(
                f"{type(model).__name__} cannot be cut: torch.fx cannot take it ({one_line(by_fx)}), "
                f"nor can torch.export ({one_line(by_export)})"
            ) from by_export
    same = str(found.eval.graph) == str(found.train.graph)
    return Traces(found.eval, found.eval) if same else found


@contextlib.contextmanager
def kept_modes(model: nn.Module) -> Iterator[None]:
    """Every module's mode is afterwards what it was before."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def _in_modes(model: nn.Module, tracing: Any) -> Iterator[Trace]:
    for training in (False, True):
        with kept_modes(model):
            trace = tracing(model.train(training))
        _order_in_place(trace)
        yield trace


class _LeafTracer(Tracer):
    """More modules are nodes than torch's own.

    Those without any state: stochastic depth, for one, which reads its mode while it runs. And whatever is derived from
    batch norms: they count their steps, which tracing would do instead of showing it.
    """

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        stateless = next(m.children(), None) is None and not m._parameters and not m._buffers
        counting = isinstance(m, nn.modules.batchnorm._NormBase)
        return stateless or counting or super().is_leaf_module(m, module_qualified_name)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """Only the images are unknown: what else may be given keeps its default, on which the code may branch."""
        images = list(inspect.signature(root_fn).parameters)[1]
        return root_fn, [self.root, self.create_proxy("placeholder", images, (), {})]


def _by_fx(model: nn.Module) -> Trace:
    return Trace(model, _LeafTracer().trace(model))


def _by_export(model: nn.Module, example: torch.Tensor) -> Trace:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, about torch's own code
        program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim("n")},))
        module = program.module(check_guards=False)
    assert isinstance(module, torch.fx.GraphModule)
    return Trace(module, module.graph, program.call_spec.out_spec)


def _check(model: nn.Module, trace: Trace, example: torch.Tensor) -> None:
    """fx follows one path through the code, whatever the images: what it missed shows in the output."""
    with kept_modes(model), torch.no_grad():
        model.eval()
        expected = model(example.clone())
        found = torch.fx.Interpreter(model, graph=trace.graph).run(example.clone())
    torch.testing.assert_close(found, expected)


def _order_in_place(trace: Trace) -> None:
    """Let what reads a value after it was overwritten read the overwriting's result: the same, and said so."""
    position = {node: place for place, node in enumerate(trace.graph.nodes)}
    for node in trace.graph.nodes:
        target = overwritten_by(node, trace.root)
        if target is not None:
            for user in [user for user in target.users if position[user] > position[node]]:
                user.replace_input_with(target, node)
        if target is not None and target.op != "get_attr" and not node.users:
            raise ValueError(f"{node} works in place on {target}, and only views of that are used later")


def overwritten_by(node: Node, root: nn.Module) -> Node | None:
    """The value that an operator works on in place; None for all others."""
    first = node.args[0] if node.args else None
    if not isinstance(first, Node):
        return None
    return first if _works_in_place(node, root) else None


def _works_in_place(node: Node, root: nn.Module) -> bool:
    if node.op == "call_module":
        return bool(getattr(root.get_submodule(str(node.target)), "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    if node.op != "call_function":
        return False
    if isinstance(node.target, torch._ops.OpOverload):
        info = node.target._schema.arguments[0].alias_info
        return info is not None and info.is_write
    return node.target in _IN_PLACE_OPERATORS or _given_inplace(node)


def _given_inplace(node: Node) -> bool:
    """Whether a function was called with ``inplace=True``, by name or by position."""
    if "inplace" in node.kwargs:
        return bool(node.kwargs["inplace"])
    try:
        names = list(inspect.signature(node.target).parameters)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # built-in functions have none, and none of them has such a parameter
        return False
    place = names.index("inplace") if "inplace" in names else len(node.args)
    return bool(node.args[place]) if place < len(node.args) else False
