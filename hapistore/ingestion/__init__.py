"""From a source of images to image shards, annotations and a committed dataset version."""

from .converting import ConvertResult, convert
from .ingesting import IngestResult, ingest
from .options import IngestOptions
from .quarantine import Quarantined, load_quarantine, outstanding
from .quarantine_files import export_quarantine
from .reading import CHECKS
from .retrying import RetryResult, retry
from .sources import ClassFolders, Manifest, Source, image_folder, manifest, open_source

__all__ = [
    "CHECKS",
    "ClassFolders",
    "ConvertResult",
    "IngestOptions",
    "IngestResult",
    "Manifest",
    "Quarantined",
    "RetryResult",
    "Source",
    "convert",
    "export_quarantine",
    "image_folder",
    "ingest",
    "load_quarantine",
    "manifest",
    "open_source",
    "outstanding",
    "retry",
]
