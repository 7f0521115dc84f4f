"""From a source of images to image shards, annotations and a committed dataset version."""

from .annotating import AnnotateResult, annotate
from .converting import ConvertResult, convert
from .ingesting import IngestOptions, IngestResult, ingest
from .quarantine import Quarantined, load_quarantine
from .sources import ClassFolders, Manifest, Source, image_folder, manifest, open_source

__all__ = [
    "AnnotateResult",
    "ClassFolders",
    "ConvertResult",
    "IngestOptions",
    "IngestResult",
    "Manifest",
    "Quarantined",
    "Source",
    "annotate",
    "convert",
    "image_folder",
    "ingest",
    "load_quarantine",
    "manifest",
    "open_source",
]
