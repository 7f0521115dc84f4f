"""From a view to training batches: which rows in which order, and the rows themselves. No torch."""

from .order import SHUFFLES, permute
from .reader import Batch, FeatureReader, ReadOptions
from .targets import Targets

__all__ = ["SHUFFLES", "Batch", "FeatureReader", "ReadOptions", "Targets", "permute"]
