"""A frozen prefix that somebody else wrote as an ONNX program: named like any other, and run in a child only."""

from __future__ import annotations

import hashlib
from functools import cached_property

import torch

from ..images import Preprocess
from .prefix import Prefix

PROGRAM_TENSOR = "program.onnx"
"""The one tensor of its weights file, uint8: so gc, copies and verification know such files already."""


class OnnxPrefix:
    """What a `Prefix` says of itself, without a module: this process never opens the program.

    Attributes:
        architecture, cut, preprocess, weights_name, feature_shape: as in `Prefix`.
        code: the program: input float32 [n, 3, height, width], normalised; output float32 [n, *feature_shape].
        must_confine: whether it runs only where its process can be given a network of its own, which is none.
    """

    def __init__(
        self,
        *,
        architecture: str,
        cut: str,
        preprocess: Preprocess,
        weights_name: str,
        code: bytes,
        feature_shape: tuple[int, ...],
        must_confine: bool = True,
    ) -> None:
        self.architecture, self.cut, self.preprocess = architecture, cut, preprocess
        self.weights_name, self.code, self.feature_shape = weights_name, code, feature_shape
        self.must_confine = must_confine

    @cached_property
    def program(self) -> str:
        """SHA-256 (hex) of the program."""
        return hashlib.sha256(self.code).hexdigest()

    @property
    def pixel_shape(self) -> tuple[int, int, int]:
        """Shape of one image's pixels: (height, width, 3)."""
        return self.preprocess.pixel_shape

    @property
    def levels(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each channel, in pixel levels, that pixels are normalised by."""
        return tuple(self.preprocess.mean_levels), tuple(self.preprocess.std_levels)

    def __repr__(self) -> str:
        return f"OnnxPrefix({self.architecture!r}, cut={self.cut!r}, feature_shape={self.feature_shape})"

    def weights(self) -> dict[str, torch.Tensor]:
        """The program as the tensor of a weights file."""
        return {PROGRAM_TENSOR: torch.frombuffer(bytearray(self.code), dtype=torch.uint8)}


AnyPrefix = Prefix | OnnxPrefix
"""What is extracted with."""
