"""hapistore for PyTorch: features as DataPipes."""

from .feature_pipe import FeaturePipe

__all__ = ["FeaturePipe"]
