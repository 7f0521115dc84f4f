"""What of a network that a client sends is taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class IntakeLimits:
    """Bounds for networks that cross.

    Attributes:
        allow_onnx: take ONNX programs; without, only known architectures.
        require_confinement: run them only where the kernel gives their process a network namespace of its own.
        max_bytes: of a payload; one message of ONNX holds no more anyway.
        max_memory_bytes: of one image's forward pass, besides the weights, and of any one value in it.
        max_nodes: of an ONNX program; the largest that PyTorch exports of known networks have a tenth of that.
        max_crop_px: of a side of the images.
        max_seconds: that checking an ONNX program, opening it, and each of its first runs may take.
    """

    allow_onnx: bool = False
    require_confinement: bool = True
    max_bytes: int = 2 << 30
    max_memory_bytes: int = 2 << 30
    max_nodes: int = 20_000
    max_crop_px: int = 2048
    max_seconds: float = 60.0
