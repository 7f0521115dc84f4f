"""How long parts of a network take: where its time goes, and what a training step of a tail costs."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.fx import Interpreter, Node
from torch.utils import _pytree as pytree

from .cutting import TracedNetwork
from .traces import kept_modes

_RUNS, _LONG_RUNS = 5, 3
_LEAST_S, _FIRST_BATCH = 0.25, 8
# No run begins later than this after the first: steps are long where other work has the machine, or the network is
# for another one.
_MOST_S = 1.5


def seconds_at_cuts(network: TracedNetwork, images: torch.Tensor) -> tuple[float, ...]:
    """Seconds from the images to each cut, by PyTorch: shares of the whole that hold for others too.

    Args:
        images: normalised float32 [n, 3, height, width].
    """
    trace = network.eval_trace
    with kept_modes(trace.root), torch.no_grad():
        trace.root.eval()
        for _ in range(2):  # the first run pays for allocations
            run = _Timed(trace.root, graph=trace.graph)
            run.run(images.clone())
    return tuple(max(run.reached_s[value] for value in network.place(cut)) for cut in network.cuts)


class _Timed(Interpreter):
    """Seconds at which each value was there."""

    def __init__(self, root: nn.Module, **options: Any) -> None:
        super().__init__(root, **options)
        self.reached_s: dict[Node, float] = {}
        self._began = time.perf_counter()

    def run_node(self, n: Node) -> Any:
        if n.op == "placeholder":
            self._began = time.perf_counter()
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            _wait(value.device)
        self.reached_s[n] = time.perf_counter() - self._began
        return value


def training_seconds(tail: nn.Module, inputs: torch.Tensor, *, batch_size: int) -> list[float]:
    """Seconds an image of training steps: forward, a loss, backward, gradient descent. A copy is trained.

    Batches grow up to ``batch_size``, unless one takes long before that. A step costs something for each image and
    something once, for the weights; so two sizes are run then, and what an image costs at ``batch_size`` follows.

    Args:
        inputs: what the tail takes, [n, ...] on its device; repeated as needed.

    Returns:
        one figure a run: several, or one where steps take long.
    """
    step, until = _Step(copy.deepcopy(tail).train()), time.perf_counter() + _MOST_S
    images = min(_FIRST_BATCH, batch_size)
    first_s = step(_rows(inputs, images))  # the first of a size pays for allocations
    if time.perf_counter() > until:
        return [first_s / images]
    while step(_rows(inputs, images)) < _LEAST_S and images < batch_size:
        images = min(2 * images, batch_size)
        step(_rows(inputs, images))
    many = _rows(inputs, images)
    if images == batch_size:
        return _until(until, _RUNS, lambda: step(many) / images)
    few = _rows(inputs, images // 2)
    step(few)
    return _until(until, _LONG_RUNS, lambda: _at_batch_size(step(few), step(many), images, batch_size))


def _until(until: float, runs: int, measure: Callable[[], float]) -> list[float]:
    """So many runs, fewer where time is up before, but one."""
    found = [measure()]
    while len(found) < runs and time.perf_counter() < until:
        found.append(measure())
    return found


def _at_batch_size(few_s: float, many_s: float, images: int, batch_size: int) -> float:
    """An image's share of a step of ``batch_size``, from steps of half as many images as ``images``, and of these."""
    each_s = min(max(0.0, (many_s - few_s) / (images - images // 2)), many_s / images)
    return each_s + (many_s - images * each_s) / batch_size


class _Step:
    """One training step, by the clock."""

    def __init__(self, tail: nn.Module) -> None:
        self._tail = tail
        self._trained = [parameter for parameter in tail.parameters() if parameter.requires_grad]
        self._optimiser = torch.optim.SGD(self._trained, lr=1e-6, momentum=0.9) if self._trained else None

    def __call__(self, batch: torch.Tensor) -> float:
        began = time.perf_counter()
        outputs = [value for value in pytree.tree_leaves(self._tail(batch)) if isinstance(value, torch.Tensor)]
        if self._optimiser is not None:
            self._optimiser.zero_grad(set_to_none=True)
            loss = torch.stack([value.float().mean() for value in outputs if value.requires_grad]).sum()
            loss.backward()
            self._optimiser.step()
        _wait(batch.device)
        return time.perf_counter() - began


def _rows(inputs: torch.Tensor, count: int) -> torch.Tensor:
    return inputs.repeat(-(-count // len(inputs)), *[1] * (inputs.dim() - 1))[:count].contiguous()


def _wait(device: torch.device) -> None:
    """Accelerators work behind the caller's back."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
