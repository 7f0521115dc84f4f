"""hapistore for PyTorch: features and images as DataPipes, datasets and nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .dequantise import Dequantise
from .iterable import FeatureIterable
from .map_pipe import FeatureMapPipe
from .offload import offload
from .pipes import FeaturePipe, ImagePipe

if TYPE_CHECKING:
    from .node import FeatureNode

__all__ = ["Dequantise", "FeatureIterable", "FeatureMapPipe", "FeatureNode", "FeaturePipe", "ImagePipe", "offload"]


def __getattr__(name: str) -> Any:
    if name != "FeatureNode":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .node import FeatureNode  # torchdata is wanted for this one only

    return FeatureNode
