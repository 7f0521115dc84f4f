"""A compiled prefix: pixels in, features out. Values agree within the recipe's precision, whoever runs it."""

from .candidates import EXECUTORS
from .child import ChildExecutor
from .choice import ExecutorChoice
from .choosing import choose_executor, open_executor
from .eager import EagerExecutor
from .inductor import InductorExecutor
from .machine import machine
from .onnx_runtime import OnnxExecutor
from .openvino import OpenVINOExecutor
from .protocol import Executor

__all__ = [
    "EXECUTORS",
    "ChildExecutor",
    "EagerExecutor",
    "Executor",
    "ExecutorChoice",
    "InductorExecutor",
    "OnnxExecutor",
    "OpenVINOExecutor",
    "choose_executor",
    "machine",
    "open_executor",
]
