"""From a recipe and its weights file back to the prefix: the inverse of `recipe_of`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hapistore_format import Recipe
from hapistore_format.weights import RawTensor, read_weights

from ..errors import UsageError
from ..images import Preprocess
from ..models import AnyPrefix, OnnxPrefix, Prefix, rebuild_prefix
from ..models.onnx_prefix import PROGRAM_TENSOR
from .recipes import DTYPES

_DTYPES = {name: dtype for dtype, name in DTYPES.items()}


def prefix_of(recipe: Recipe, weights: bytes | memoryview, *, must_confine: bool = True) -> AnyPrefix:
    """The prefix that a recipe names; of a variant, that of the images as they are.

    Args:
        weights: the file that the recipe names.
        must_confine: as of an `OnnxPrefix`.

    Raises:
        DamagedError: the weights are not those that the recipe names.
        FormatError: they are no weights file.
        UsageError: the architecture can be rebuilt neither from its name nor from an ONNX program.
    """
    where = f"weights {recipe.weights[:12]} of {recipe.architecture}"
    tensors = read_weights(weights, recipe.weights, where=where)
    if recipe.program is not None:
        return _onnx_prefix(recipe, tensors, must_confine)
    return rebuilt(recipe, tensors)


def rebuilt(recipe: Recipe, tensors: Mapping[str, RawTensor], *, max_memory_bytes: int | None = None) -> Prefix:
    """The prefix of a known architecture.

    Args:
        tensors, max_memory_bytes: as `rebuild_prefix` takes them.

    Raises:
        UsageError: it cannot be rebuilt from its name, or the tensors are not its own.
    """
    return rebuild_prefix(
        recipe.architecture,
        recipe.cut,
        preprocess_of(recipe.preprocess),
        {name: _tensor(name, raw) for name, raw in tensors.items()},
        weights_name=str(recipe.notes.get("weights", "")),
        max_memory_bytes=max_memory_bytes,
    )


def preprocess_of(value: Mapping[str, Any]) -> Preprocess:
    """From its plain form, numbers in the spelling they have there.

    Raises:
        UsageError: it is not of this library's kind.
    """
    plain: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    try:
        return Preprocess(**plain)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the preprocessing is not one that is known here: {error!s:.200}") from error


def _onnx_prefix(recipe: Recipe, tensors: Mapping[str, RawTensor], must_confine: bool) -> OnnxPrefix:
    raw = tensors.get(PROGRAM_TENSOR)
    code = bytes(raw.data) if raw is not None else b""
    if hashlib.sha256(code).hexdigest() != recipe.program:
        raise UsageError(
            f"{recipe.architecture} is a network of its user's own, and the store has its weights without what it "
            "computes; register it as an ONNX program, or extract beside the store"
        )
    return OnnxPrefix(
        architecture=recipe.architecture,
        cut=recipe.cut,
        preprocess=preprocess_of(recipe.preprocess),
        weights_name=str(recipe.notes.get("weights", "")),
        code=code,
        feature_shape=recipe.shape,
        must_confine=must_confine,
    )


def _tensor(name: str, raw: RawTensor) -> torch.Tensor:
    """A copy of its own."""
    dtype = _DTYPES[raw.dtype]
    if math.prod(raw.shape) == 0:
        return torch.empty(raw.shape, dtype=dtype)
    data = np.frombuffer(raw.data, np.uint8)
    if dtype == torch.bool and data.max() > 1:
        raise UsageError(f"tensor {name!r:.120} holds {data.max()}, expected 0 and 1")
    return torch.from_numpy(data.copy()).view(dtype).reshape(raw.shape)
