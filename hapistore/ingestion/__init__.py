"""From a source of images to image shards, annotations and a committed dataset version."""

from .converting import ConvertResult, convert
from .ingesting import IngestResult, ingest
from .options import IngestOptions
from .quarantine import Quarantined, load_quarantine
from .reading import CHECKS
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
    "Source",
    "SubsetFrom",
    "WebDataset",
    "bucket_folder",
    "convert",
    "image_folder",
    "image_records",
    "ingest",
    "lmdb_images",
    "load_quarantine",
    "manifest",
    "open_source",
    "parquet",
    "saved_dataset",
    "webdataset",
]
