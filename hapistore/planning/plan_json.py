"""A plan as JSON and back: one line naming the field for whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from ..errors import UsageError
from .epoch_cost import STAGES, Candidate
from .json_fields import field, line, number, object_of, shown, whole
from .profile import SHIP_IMAGES
from .profile_json import cut_from_json, cut_to_json
from .resources import Resources
from .split import SplitPlan

_SECONDS = (*(f"{stage}_s" for stage in STAGES), "epoch_s", "worst_epoch_s")
_MODES = ("images", "stored", "streaming")
_WHOLE, _FLAGS = ("batch_size", "epochs", "tenants"), ("augmented", "extracted_first")
_MAY_BE_NONE = ("link_low_bytes_per_s", "disk_bytes", "memory_bytes")
_MOST_CANDIDATES = 10_000


def plan_from_json(value: object) -> SplitPlan:
    """The plan that a parsed JSON document describes; fields it does not know are left alone.

    Raises:
        UsageError: a field is missing, or holds something else than a plan may; the message begins with its path.
    """
    told = object_of(value, "plan")
    candidates = _candidates(field(told, "candidates", "candidates"))
    chosen = whole(told, "chosen", "chosen")
    if chosen not in candidates:
        raise UsageError(f"chosen: found {chosen}, expected the index of a candidate")
    return SplitPlan(
        policy=line(told, "policy", "policy"),
        chosen=candidates[chosen],
        candidates=tuple(candidates[index] for index in sorted(candidates)),
        resources=_resources(field(told, "resources", "resources")),
    )


def plan_to_json(plan: SplitPlan) -> dict[str, Any]:
    """Plain data that `plan_from_json` reads: the choice as the index of its cut."""
    return {
        "policy": plan.policy,
        "chosen": plan.chosen.cut.index,
        "candidates": [{**asdict(one), "cut": cut_to_json(one.cut)} for one in plan.candidates],
        "resources": asdict(plan.resources),
    }


def _candidates(value: object) -> dict[int, Candidate]:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_CANDIDATES:
        raise UsageError(f"candidates: found {shown(value)}, expected a list of 1 to {_MOST_CANDIDATES}")
    found: dict[int, Candidate] = {}
    for place, item in enumerate(value):
        one = _candidate(item, f"candidates[{place}]")
        if one.cut.index in found:
            raise UsageError(f"candidates[{place}].cut.index: found {one.cut.index} twice, expected each index once")
        found[one.cut.index] = one
    return found


def _candidate(value: object, where: str) -> Candidate:
    told = object_of(value, where)
    cut = cut_from_json(field(told, "cut", f"{where}.cut"), f"{where}.cut")
    mode = line(told, "mode", f"{where}.mode")
    if mode not in _MODES or (mode == "images") != (cut.index == SHIP_IMAGES):
        raise UsageError(f"{where}.mode: found {shown(mode)} of cut {cut.index}, expected one of {', '.join(_MODES)}")
    return Candidate(cut=cut, mode=mode, **{key: number(told, key, f"{where}.{key}") for key in _SECONDS})


def _resources(value: object) -> Resources:
    told = object_of(value, "resources")
    found = {one.name: _resource(told, one.name, f"resources.{one.name}") for one in fields(Resources)}
    try:
        return Resources(**found)
    except UsageError as error:
        raise UsageError(f"resources: {error}") from None


def _resource(told: Mapping[str, Any], key: str, where: str) -> Any:
    value = field(told, key, where)
    if key in _FLAGS:
        if not isinstance(value, bool):
            raise UsageError(f"{where}: found {shown(value)}, expected true or false")
        return value
    if key in _WHOLE:
        return whole(told, key, where, least=1)
    return None if value is None and key in _MAY_BE_NONE else number(told, key, where)
