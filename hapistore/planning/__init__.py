"""Decisions as pure functions over plain data: no torch, no I/O."""

from .batch_plan import AIMS, plan_batches
from .batch_planner import BatchPlanner, Decision, Job
from .batches import BatchSearch
from .fairness import FairState
from .memory_model import MemoryModel
from .requests import BatchPlan, ExtractionRequest, Grant
from .throughput import ThroughputCurve

__all__ = [
    "AIMS",
    "BatchPlan",
    "BatchPlanner",
    "BatchSearch",
    "Decision",
    "ExtractionRequest",
    "FairState",
    "Grant",
    "Job",
    "MemoryModel",
    "ThroughputCurve",
    "plan_batches",
]
