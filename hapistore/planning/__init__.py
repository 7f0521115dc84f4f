"""Decisions as pure functions over plain data: no torch, no I/O."""

from .batch_plan import AIMS, plan_batches
from .batch_planner import BatchPlanner, Decision, Job
from .batches import BatchSearch
from .combining import combine_tiers
from .epoch_cost import Candidate
from .fairness import FairState
from .memory_model import MemoryModel
from .plan_json import plan_from_json, plan_to_json
from .policies import POLICIES
from .profile import SHIP_IMAGES, CodecCost, CutProfile, ModelProfile
from .profile_json import profile_from_json, profile_to_json
from .requests import BatchPlan, ExtractionRequest, Grant
from .resources import Resources
from .split import GIVEN, SplitPlan, plan_split
from .throughput import ThroughputCurve
from .worth_measuring import worth_measuring

__all__ = [
    "AIMS",
    "GIVEN",
    "POLICIES",
    "SHIP_IMAGES",
    "BatchPlan",
    "BatchPlanner",
    "BatchSearch",
    "Candidate",
    "CodecCost",
    "CutProfile",
    "Decision",
    "ExtractionRequest",
    "FairState",
    "Grant",
    "Job",
    "MemoryModel",
    "ModelProfile",
    "Resources",
    "SplitPlan",
    "ThroughputCurve",
    "combine_tiers",
    "plan_batches",
    "plan_from_json",
    "plan_split",
    "plan_to_json",
    "profile_from_json",
    "profile_to_json",
    "worth_measuring",
]
