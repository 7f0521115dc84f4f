"""From a view to training batches: which rows in which order, and the rows themselves. No torch."""

from .exporting import ExportResult, export_view
from .order import SHUFFLES, permute
from .reader import Batch, FeatureReader, ReadOptions
from .targets import Targets

__all__ = [
    "SHUFFLES",
    "Batch",
    "ExportResult",
    "FeatureReader",
    "ReadOptions",
    "Targets",
    "export_view",
    "permute",
]
