"""A compiled prefix: pixels in, features out. Values agree within the recipe's precision, whoever runs it."""

from .child import ChildExecutor
from .choosing import EXECUTORS, open_executor
from .eager import EagerExecutor
from .openvino import OpenVINOExecutor
from .protocol import Executor

__all__ = ["EXECUTORS", "ChildExecutor", "EagerExecutor", "Executor", "OpenVINOExecutor", "open_executor"]
