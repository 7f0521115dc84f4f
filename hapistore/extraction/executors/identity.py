"""What a network is, as far as caches of this machine go: two of one identity compute the same."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...models import Prefix


def identity_of(prefix: Prefix) -> Mapping[str, Any]:
    """Plain data: what a recipe says, and besides the code of its modules, which has no version while it is written."""
    return {
        "architecture": prefix.architecture,
        "cut": prefix.cut,
        "program": prefix.program,
        "preprocess": prefix.preprocess.to_json(),
        "pixels": list(prefix.pixel_shape),
        "shape": list(prefix.feature_shape),
        "weights": weights_digest(prefix),
        "code": _code_digest(prefix.module),
    }


def weights_digest(prefix: Prefix) -> str:
    """SHA-256 (hex) over a prefix's tensors, by name."""
    found = hashlib.sha256()
    for name, tensor in sorted(prefix.weights().items()):
        found.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        if tensor.numel():
            found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _code_digest(module: nn.Module) -> str:
    """SHA-256 (hex) over how modules are put together, their sources' files, and the text of traced ones."""
    modules = list(module.modules())
    kinds = {type(one) for one in modules}
    found = hashlib.sha256(repr(module).encode())
    for name in sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds):
        found.update(f"{name}\0".encode())
    for path in sorted({path for path in map(_source_of, kinds) if path}):
        with open(path, "rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    for one in modules:
        if isinstance(one, torch.fx.GraphModule):
            found.update(one.code.encode())
    return found.hexdigest()


def _source_of(kind: type[nn.Module]) -> str | None:
    """Path of the file; None for what was made by none, such as what torch.fx compiles."""
    try:
        path = inspect.getsourcefile(kind)
    except TypeError:
        return None
    return path if path and Path(path).is_file() else None
