"""From a view to training batches: which rows in which order, and the rows themselves. No torch."""

from .exporting import ExportResult, export_view
from .options import KEPT_BYTES, ReadOptions
from .order import SHUFFLES
from .reader import Batch, FeatureReader
from .stats import ReadStats
from .targets import Targets

__all__ = [
    "KEPT_BYTES",
    "SHUFFLES",
    "Batch",
    "ExportResult",
    "FeatureReader",
    "ReadOptions",
    "ReadStats",
    "Targets",
    "export_view",
]
