"""A compiled prefix: pixels in, features out. Values agree within the recipe's precision, whoever runs it.

Names are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from ...lazy import names_of

if TYPE_CHECKING:
    from .candidates import EXECUTORS
    from .child import ChildExecutor
    from .choice import ExecutorChoice
    from .choosing import choose_executor, open_executor
    from .eager import EagerExecutor
    from .inductor import InductorExecutor
    from .onnx_runtime import OnnxExecutor
    from .openvino import OpenVINOExecutor
    from .protocol import Executor

_HOMES = {
    "ChildExecutor": "child",
    "EXECUTORS": "candidates",
    "EagerExecutor": "eager",
    "Executor": "protocol",
    "ExecutorChoice": "choice",
    "InductorExecutor": "inductor",
    "OnnxExecutor": "onnx_runtime",
    "OpenVINOExecutor": "openvino",
    "choose_executor": "choosing",
    "open_executor": "choosing",
}

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
    "open_executor",
]

__getattr__, __dir__ = names_of(__name__, _HOMES)
