"""A prefix as what crosses to a service: plain words, and bytes that are data and no code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..models import Prefix, is_rebuildable, onnx_program
from ..models.surgery import Wrapper
from .recipes import recipe_of


@dataclass(frozen=True, kw_only=True)
class SentNetwork:
    """A network on its way.

    Attributes:
        header: plain JSON, as `hapistore.service` checks it: ``kind`` (``weights`` or ``onnx``), ``architecture``,
            ``cut``, ``preprocess``, ``precision``, ``weights_name``, ``shape`` of one image's features, ``sha256`` of
            the payload.
        payload: the weights file of the recipe, or an ONNX program.
    """

    header: dict[str, Any]
    payload: bytes


def pack_network(prefix: Prefix, *, precision: str = "f32") -> SentNetwork:
    """Pack a prefix: of a known architecture its weights, of any other an ONNX program with its weights within.

    Raises:
        UsageError: there is no such precision, or torch cannot export the prefix.
    """
    recipe, weights = recipe_of(prefix, precision=precision)
    known = prefix.program is None and is_rebuildable(prefix.architecture)
    payload = weights if known else _program_of(prefix, precision)
    header = {
        "kind": "weights" if known else "onnx",
        "architecture": recipe.architecture,
        "cut": recipe.cut,
        "preprocess": recipe.preprocess,
        "precision": precision,
        "weights_name": prefix.weights_name,
        "shape": list(recipe.shape),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    return SentNetwork(header=header, payload=payload)


def _program_of(prefix: Prefix, precision: str) -> bytes:
    if precision != "f32":
        raise UsageError(
            f"{prefix.architecture} crosses as an ONNX program, which is run in f32 only, not in {precision}"
        )
    assert isinstance(prefix.module, Wrapper)  # normalisation, which is the recipe's and not the program's
    return onnx_program(prefix.module.network, prefix.preprocess.crop_px)
