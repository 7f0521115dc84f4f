"""Running the frozen prefix over a dataset's images, and storing what comes out."""

from .executors import EXECUTORS, Executor, open_executor
from .extracting import ExtractOptions, ExtractResult, extract
from .recipes import recipe_of

__all__ = ["EXECUTORS", "Executor", "ExtractOptions", "ExtractResult", "extract", "open_executor", "recipe_of"]
