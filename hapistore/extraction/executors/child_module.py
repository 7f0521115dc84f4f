"""How a prefix's module gets into the executor's process.

Both ways write into an unnamed file that only the child inherits, from the module that runs in this very process:
the child trusts what its parent wrote, as it trusts its arguments, and nothing else ever writes there. Neither is for
stored data, or for what comes from elsewhere.
"""

from __future__ import annotations

import os
import pickle

import torch
from torch import nn

from ...errors import UsageError
from ...models import Prefix
from .exporting import export_module

SAVED, EXPORTED = "saved", "exported"


def write_module(prefix: Prefix, descriptor: int) -> str:
    """Write the module; returns how: ``saved``, by the names of its classes, or ``exported``, as a graph.

    What the child cannot import, a class of a script or of a function, is exported.

    Raises:
        UsageError: it can be neither.
    """
    with os.fdopen(os.dup(descriptor), "wb") as file:
        try:
            if any(type(module).__module__ == "__main__" for module in prefix.module.modules()):
                raise pickle.PicklingError("a class of a script")
            torch.save(prefix.module, file)
            return SAVED
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            file.seek(0)
            file.truncate()
            try:
                torch.export.save(export_module(prefix.module, prefix.preprocess.pixel_shape), file)
            except Exception as reason:  # exporting runs the module's own code
                raise UsageError(
                    f"{prefix.architecture} cannot be handed to another process ({error}), nor be exported "
                    f"({type(reason).__name__}); define its class in a module, or extract without a child"
                ) from reason
            return EXPORTED


def read_module(descriptor: int, how: str, device: str | None) -> nn.Module:
    """What ``write_module`` wrote."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        if how == EXPORTED:
            return torch.export.load(file).module()
        # Not weights_only: these are the parent's own classes, see above.
        module: nn.Module = torch.load(file, weights_only=False, map_location=device)
        return module.eval()
