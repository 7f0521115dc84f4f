"""From a prefix to the recipe that names its features."""

from __future__ import annotations

from typing import Any

import torch

from hapistore_format import Recipe
from hapistore_format.recipe import PRECISIONS
from hapistore_format.weights import RawTensor, write_weights

from ..errors import UsageError
from ..models import AnyPrefix

DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"""What a weights file calls torch's types."""


def recipe_of(prefix: AnyPrefix, *, precision: str = "f32") -> tuple[Recipe, bytes]:
    """The recipe of a prefix, and the file of its frozen weights.

    Args:
        precision: ``f32`` or ``bf16``. Its user states it: the executor that turns out to be the fastest must not
            decide what features are.

    Raises:
        UsageError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is none of {', '.join(PRECISIONS)}")
    digest, weights = write_weights({name: _raw(tensor) for name, tensor in prefix.weights().items()})
    recipe = Recipe(
        architecture=prefix.architecture,
        weights=digest,
        program=prefix.program,
        cut=prefix.cut,
        preprocess=_plain(prefix.preprocess.to_json()),
        precision=precision,
        shape=tuple(prefix.feature_shape),
        notes={"weights": prefix.weights_name},
    )
    return recipe, weights


def _raw(tensor: torch.Tensor) -> RawTensor:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return RawTensor(DTYPES[tensor.dtype], tuple(tensor.shape), data)


def _plain(value: Any) -> Any:
    """Tuples as lists and numbers in one spelling, as a parsed recipe has them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
