"""A prefix as torch.export's program with a dynamic extraction batch: what other executors are made from."""

from __future__ import annotations

import threading
import warnings
import weakref

import torch
from torch import nn
from torch.export.passes import move_to_device_pass

from ...models import Prefix
from .saved_program import Source

# Two examples keep torch.export from taking the batch for a constant.
_EXAMPLE_BATCH = 2
# Exporting takes seconds, most of a small extraction; a prefix is frozen, so its program lives as long as it does.
_programs: weakref.WeakKeyDictionary[Prefix, torch.export.ExportedProgram] = weakref.WeakKeyDictionary()
_exporting = threading.Lock()


def exported(prefix: Prefix) -> torch.export.ExportedProgram:
    """uint8 [batch, height, width, 3] to features, on the CPU; exported once in a process.

    It shares its tensors with the prefix. Whatever torch.export raises is raised.
    """
    with _exporting:
        program = _programs.get(prefix)
        if program is None:
            program = _programs[prefix] = _export(prefix)
        return program


def save_exported(prefix: Prefix, program: str, weights: str) -> None:
    """Write a prefix for ``module_of``, all of it to the first path."""
    with open(program, "wb") as file:
        torch.export.save(exported(prefix), file)


def module_of(source: Source, device: str = "cpu") -> nn.Module:
    """uint8 [batch, height, width, 3] to features, on a device; a prefix's own module is moved there."""
    if isinstance(source, Prefix):
        return source.module.to(device)
    with source.open() as file:
        program = torch.export.load(file)
    if device != "cpu":
        program = move_to_device_pass(program, device)
    module = program.module(check_guards=False)
    for node in list(module.graph.nodes):
        # What it asserts of types holds without autocast only.
        if node.target is torch.ops.aten._assert_tensor_metadata.default:
            module.graph.erase_node(node)
    module.recompile()
    return module


def _export(prefix: Prefix) -> torch.export.ExportedProgram:
    example = torch.zeros((_EXAMPLE_BATCH, *prefix.pixel_shape), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, about torch's own code
        return torch.export.export(prefix.module.to("cpu"), (example,), dynamic_shapes=({0: batch},))
