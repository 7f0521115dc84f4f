"""From a source of images to image shards, annotations and a committed dataset version."""

from .annotating import AnnotateResult, annotate
from .converting import ConvertResult, convert
from .ingesting import IngestResult, ingest
from .options import IngestOptions
from .quarantine import Quarantined, load_quarantine, outstanding
from .quarantine_files import export_quarantine
from .reading import CHECKS
from .retrying import RetryResult, retry
from .sources import (
    BucketFolders,
    ClassFolders,
    ImageRecords,
    ImageTables,
    LmdbImages,
    Manifest,
    Source,
    SubsetFrom,
    WebDataset,
    bucket_folder,
    image_folder,
    image_records,
    lmdb_images,
    manifest,
    open_source,
    parquet,
    saved_dataset,
    webdataset,
)

__all__ = [
    "CHECKS",
    "AnnotateResult",
    "BucketFolders",
    "ClassFolders",
    "ConvertResult",
    "ImageRecords",
    "ImageTables",
    "IngestOptions",
    "IngestResult",
    "LmdbImages",
    "Manifest",
    "Quarantined",
    "RetryResult",
    "Source",
    "SubsetFrom",
    "WebDataset",
    "annotate",
    "bucket_folder",
    "convert",
    "export_quarantine",
    "image_folder",
    "image_records",
    "ingest",
    "lmdb_images",
    "load_quarantine",
    "manifest",
    "open_source",
    "outstanding",
    "parquet",
    "retry",
    "saved_dataset",
    "webdataset",
]
