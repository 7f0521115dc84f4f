"""Running the frozen prefix over a dataset's images, and storing what comes out.

Names are loaded when they are first used: an executor's process passes here, and most have no use for torch.
"""

from typing import TYPE_CHECKING

from ..lazy import names_of

if TYPE_CHECKING:
    from .augmenting import AugmentOptions, parse_augment
    from .executors import EXECUTORS, Executor, ExecutorChoice, choose_executor, open_executor
    from .extracting import DEFAULT_CODEC, extract
    from .options import ExtractOptions, ExtractResult
    from .recipes import recipe_of
    from .shares import Share
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

_HOMES = {
    "AugmentOptions": "augmenting",
    "DEFAULT_CODEC": "extracting",
    "EXECUTORS": "executors",
    "Executor": "executors",
    "ExecutorChoice": "executors",
    "ExtractOptions": "options",
    "ExtractResult": "options",
    "ExtractionJob": "worker",
    "ExtractionWorker": "worker",
    "JobReport": "worker",
    "KnownNetwork": "worker",
    "LoadsPrefix": "worker",
    "Network": "worker",
    "ShardSink": "sink",
    "Share": "shares",
    "WorkerOptions": "worker",
    "WorkerReport": "worker",
    "choose_executor": "executors",
    "extract": "extracting",
    "extract_jobs": "worker",
    "open_executor": "executors",
    "parse_augment": "augmenting",
    "recipe_of": "recipes",
}

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
    "Share",
    "WorkerOptions",
    "WorkerReport",
    "choose_executor",
    "extract",
    "extract_jobs",
    "open_executor",
    "parse_augment",
    "recipe_of",
]

__getattr__, __dir__ = names_of(__name__, _HOMES)
