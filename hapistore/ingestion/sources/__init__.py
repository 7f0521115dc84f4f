"""Where images come from. One small class a kind, behind one protocol."""

from .bucket_folders import BucketFolders, bucket_folder
from .class_folders import ClassFolders, image_folder
from .image_tables import ImageTables
from .lmdb_images import LmdbImages, lmdb_images
from .manifest import Manifest, manifest
from .opening import open_source
from .parquet_files import parquet
from .protocol import Chunk, ImageRef, Listing, Source
from .records import ImageRecords, image_records
from .saved_datasets import saved_dataset
from .subset_from import SubsetFrom
from .webdataset_tars import WebDataset, webdataset

__all__ = [
    "BucketFolders",
    "Chunk",
    "ClassFolders",
    "ImageRecords",
    "ImageRef",
    "ImageTables",
    "Listing",
    "LmdbImages",
    "Manifest",
    "Source",
    "SubsetFrom",
    "WebDataset",
    "bucket_folder",
    "image_folder",
    "image_records",
    "lmdb_images",
    "manifest",
    "open_source",
    "parquet",
    "saved_dataset",
    "webdataset",
]
