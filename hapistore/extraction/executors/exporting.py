"""A prefix as torch.export's program with a dynamic extraction batch: what other executors are made from."""

from __future__ import annotations

import threading
import warnings
import weakref

import torch

from ...models import Prefix

# Two examples keep torch.export from taking the batch for a constant.
_EXAMPLE_BATCH = 2
LARGEST_BATCH = 1 << 16
# Exporting takes seconds, most of a small extraction; a prefix is frozen, so its program lives as long as it does.
_programs: weakref.WeakKeyDictionary[Prefix, torch.export.ExportedProgram] = weakref.WeakKeyDictionary()
_exporting = threading.Lock()


def example_pixels(prefix: Prefix) -> torch.Tensor:
    """uint8 [2, height, width, 3], black, on the CPU."""
    return torch.zeros((_EXAMPLE_BATCH, *prefix.preprocess.pixel_shape), dtype=torch.uint8)


def exported(prefix: Prefix) -> torch.export.ExportedProgram:
    """uint8 [batch, height, width, 3] to features, on the CPU; exported once in a process.

    It shares its tensors with the prefix. Whatever torch.export raises is raised.
    """
    with _exporting:
        program = _programs.get(prefix)
        if program is None:
            program = _programs[prefix] = _export(prefix)
        return program


def _export(prefix: Prefix) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, about torch's own code
        return torch.export.export(prefix.module, (example_pixels(prefix),), dynamic_shapes=({0: batch},))
