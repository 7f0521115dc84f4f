"""Running the frozen prefix over a dataset's images, and storing what comes out."""

from .augmenting import AugmentOptions, parse_augment
from .executors import EXECUTORS, Executor, ExecutorChoice, choose_executor, open_executor
from .extracting import extract
from .options import ExtractOptions, ExtractResult
from .recipes import recipe_of

__all__ = [
    "EXECUTORS",
    "AugmentOptions",
    "Executor",
    "ExecutorChoice",
    "ExtractOptions",
    "ExtractResult",
    "choose_executor",
    "extract",
    "open_executor",
    "parse_augment",
    "recipe_of",
]
