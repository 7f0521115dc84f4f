"""hapistore: images stay near the disks; training reads compressed features.

Everything named in ``__all__`` is loaded when it is first used, so importing hapistore is cheap and
reading features never imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import names_of

if TYPE_CHECKING:
    from .cache import ShardCache
    from .catalog import ImageView, View, open_view, transcode, verify_store
    from .errors import HapistoreError, UsageError
    from .extraction import (
        AugmentOptions,
        ExtractionJob,
        ExtractOptions,
        Network,
        Share,
        WorkerOptions,
        extract,
        extract_jobs,
    )
    from .images import Preprocess
    from .ingestion import (
        IngestOptions,
        SubsetFrom,
        annotate,
        bucket_folder,
        convert,
        image_folder,
        image_records,
        ingest,
        lmdb_images,
        manifest,
        open_source,
        parquet,
        saved_dataset,
        webdataset,
    )
    from .models import backbone_from_module, load_backbone
    from .planning import Resources, SplitPlan, plan_split, profile_from_json
    from .prepare import PrepareOptions, plan_training, prepare_training
    from .read import FeatureReader, ReadOptions, ReadStats
    from .read.image_reader import ImageReader
    from .service.client import ServiceClient, connect
    from .stores import ObjectStore, open_store

__version__ = "0.1.0"

_HOMES = {
    "AugmentOptions": "extraction",
    "ExtractOptions": "extraction",
    "ExtractionJob": "extraction",
    "FeatureReader": "read",
    "HapistoreError": "errors",
    "ImageReader": "read.image_reader",
    "ImageView": "catalog",
    "IngestOptions": "ingestion",
    "Network": "extraction",
    "ObjectStore": "stores",
    "PrepareOptions": "prepare",
    "Preprocess": "images",
    "ReadOptions": "read",
    "ReadStats": "read",
    "Resources": "planning",
    "ServiceClient": "service.client",
    "ShardCache": "cache",
    "Share": "extraction",
    "SplitPlan": "planning",
    "SubsetFrom": "ingestion",
    "UsageError": "errors",
    "View": "catalog",
    "WorkerOptions": "extraction",
    "annotate": "ingestion",
    "backbone_from_module": "models",
    "bucket_folder": "ingestion",
    "connect": "service.client",
    "convert": "ingestion",
    "extract": "extraction",
    "extract_jobs": "extraction",
    "image_folder": "ingestion",
    "image_records": "ingestion",
    "ingest": "ingestion",
    "lmdb_images": "ingestion",
    "load_backbone": "models",
    "manifest": "ingestion",
    "open_source": "ingestion",
    "open_store": "stores",
    "open_view": "catalog",
    "parquet": "ingestion",
    "plan_split": "planning",
    "plan_training": "prepare",
    "prepare_training": "prepare",
    "profile_from_json": "planning",
    "saved_dataset": "ingestion",
    "transcode": "catalog",
    "verify_store": "catalog",
    "webdataset": "ingestion",
}

__all__ = [
    "AugmentOptions",
    "ExtractOptions",
    "ExtractionJob",
    "FeatureReader",
    "HapistoreError",
    "ImageReader",
    "ImageView",
    "IngestOptions",
    "Network",
    "ObjectStore",
    "PrepareOptions",
    "Preprocess",
    "ReadOptions",
    "ReadStats",
    "Resources",
    "ServiceClient",
    "ShardCache",
    "Share",
    "SplitPlan",
    "SubsetFrom",
    "UsageError",
    "View",
    "WorkerOptions",
    "annotate",
    "backbone_from_module",
    "bucket_folder",
    "connect",
    "convert",
    "extract",
    "extract_jobs",
    "image_folder",
    "image_records",
    "ingest",
    "lmdb_images",
    "load_backbone",
    "manifest",
    "open_source",
    "open_store",
    "open_view",
    "parquet",
    "plan_split",
    "plan_training",
    "prepare_training",
    "profile_from_json",
    "saved_dataset",
    "transcode",
    "verify_store",
    "webdataset",
]

__getattr__, __dir__ = names_of(__name__, _HOMES)
