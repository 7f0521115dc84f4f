"""Taking a network's end off without touching the network."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Iterable

import torch
from torch import nn


class Wrapper(nn.Module):
    """What hapistore puts around a network, to run a part of it; it adds no weights.

    `unwrapped` takes it off again, so that weights keep the names they have in the network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside any number of wrappers."""
    while isinstance(module, Wrapper):
        module = module.network
    return module


def copy_around(
    network: nn.Module, tensor_for: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor
) -> nn.Module:
    """A copy of a network's structure around its own tensors, or around others in their place.

    Args:
        tensor_for: what takes the place of a parameter or buffer.
    """
    tensors = itertools.chain(network.parameters(), network.buffers())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, about graphs that it copies
        return copy.deepcopy(network, {id(tensor): tensor_for(tensor) for tensor in tensors})


def without(network: nn.Module, paths: Iterable[str]) -> nn.Module:
    """A copy of a network with the submodules at ``paths`` replaced by Identity.

    The copy shares its tensors with the network: only the structure is copied, so this costs no memory.
    """
    trimmed = copy_around(network)
    for path in paths:
        parent, _, leaf = path.rpartition(".")
        setattr(trimmed.get_submodule(parent), leaf, nn.Identity())
    return trimmed


def last_linear(network: nn.Module, heads: Iterable[str]) -> str | None:
    """Path of the last nn.Linear inside the first of the attributes ``heads`` that the network has.

    Returns:
        the dotted path, or None where there is no such layer.
    """
    for head in heads:
        module = getattr(network, head, None)
        if not isinstance(module, nn.Module):
            continue
        inside = [name for name, child in module.named_modules() if isinstance(child, nn.Linear)]
        if inside:
            return f"{head}.{inside[-1]}" if inside[-1] else head
    return None


def paths_of(network: nn.Module, modules: Iterable[nn.Module]) -> list[str]:
    """Dotted paths of the given modules inside a network."""
    wanted = {id(module) for module in modules}
    return [path for path, module in network.named_modules() if path and id(module) in wanted]
