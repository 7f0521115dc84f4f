"""Running the frozen prefix over a dataset's images, and storing what comes out."""

from .augmenting import AugmentOptions, parse_augment
from .executors import EXECUTORS, Executor, ExecutorChoice, choose_executor, open_executor
from .extracting import DEFAULT_CODEC, extract
from .options import ExtractOptions, ExtractResult
from .recipes import recipe_of
from .sink import ShardSink
from .worker import (
    ExtractionJob,
    ExtractionWorker,
    JobReport,
    KnownNetwork,
    LoadsPrefix,
    Network,
    WorkerOptions,
    WorkerReport,
    extract_jobs,
)

__all__ = [
    "DEFAULT_CODEC",
    "EXECUTORS",
    "AugmentOptions",
    "Executor",
    "ExecutorChoice",
    "ExtractOptions",
    "ExtractResult",
    "ExtractionJob",
    "ExtractionWorker",
    "JobReport",
    "KnownNetwork",
    "LoadsPrefix",
    "Network",
    "ShardSink",
    "WorkerOptions",
    "WorkerReport",
    "choose_executor",
    "extract",
    "extract_jobs",
    "open_executor",
    "parse_augment",
    "recipe_of",
]
