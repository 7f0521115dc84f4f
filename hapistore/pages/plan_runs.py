"""A plan that was saved, or made of a saved profile: what each candidate costs an epoch, and which was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..planning import SHIP_IMAGES, ModelProfile, Resources, plan_split, profile_from_json
from ..planning.epoch_cost import STAGES
from ..planning.json_fields import field, line, number, object_of, shown, whole

_MOST_CANDIDATES = 10_000
_BATCH_SIZE = 256


@dataclass(frozen=True, kw_only=True)
class PlanBar:
    """A candidate: bytes that an image sends, seconds that each stage is busy in an epoch, and those of the epoch.

    Attributes:
        stage_s: by stage, in the order of an image's way.
        epoch_s: less than the stages together where these overlap.
    """

    index: int
    name: str
    bytes_per_image: float
    stage_s: Mapping[str, float]
    epoch_s: float


@dataclass(frozen=True, kw_only=True)
class PlanRun:
    """A plan. It does not say of which dataset it is.

    Attributes:
        chosen: index of a bar's cut; bars: ascending by index, at least one.
        model: that it is of, where that is told. assumed: of a profile, codec, epochs and training batch; for people.
    """

    policy: str
    chosen: int
    link_bytes_per_s: float
    bars: tuple[PlanBar, ...]
    model: str = ""
    assumed: str = ""


def read_plan(fields: Mapping[str, Any], link: float, epochs: int) -> PlanRun:
    """What ``hapistore plan --json`` prints.

    Raises:
        UsageError: a field is missing, or holds what it may not; the message begins with its path.
    """
    told = field(fields, "candidates", "candidates")
    if not isinstance(told, list) or not 0 < len(told) <= _MOST_CANDIDATES:
        raise UsageError(f"candidates: found {shown(told)}, expected a list of 1 to {_MOST_CANDIDATES}")
    bars: dict[int, PlanBar] = {}
    for place, item in enumerate(told):
        bar = _bar(item, f"candidates[{place}]")
        if bar.index in bars:
            raise UsageError(f"candidates[{place}].index: found {bar.index} twice, expected each index once")
        bars[bar.index] = bar
    chosen = whole(fields, "index", "index")
    if chosen not in bars:
        raise UsageError(f"index: found {chosen}, expected the index of a candidate")
    rate = number(fields, "link_bytes_per_s", "link_bytes_per_s")
    if not rate:
        raise UsageError("link_bytes_per_s: found 0, expected a rate above it")
    return PlanRun(
        policy=line(fields, "policy", "policy"),
        chosen=chosen,
        link_bytes_per_s=rate,
        bars=tuple(bars[index] for index in sorted(bars)),
    )


def read_profile(fields: Mapping[str, Any], link: float, epochs: int) -> PlanRun:
    """The plan that ``hapistore plan --profile`` makes of what ``--save-profile`` kept, in the codec measured, if one.

    Args:
        link: bytes/s.

    Raises:
        UsageError: as `read_plan`, or no plan can be made of it.
    """
    profile, codec = _through_its_codec(profile_from_json(fields))
    plan = plan_split(profile, Resources(link_bytes_per_s=link, batch_size=_BATCH_SIZE, epochs=epochs))
    bars = tuple(
        PlanBar(
            index=one.cut.index,
            name=one.cut.name,
            bytes_per_image=one.cut.bytes_per_image,
            stage_s={stage: getattr(one, f"{stage}_s") for stage in STAGES},
            epoch_s=one.epoch_s,
        )
        for one in plan.candidates
    )
    assumed = f"{codec or 'features as the profile has them'}, {epochs:,} epochs, training batches of {_BATCH_SIZE}"
    return PlanRun(
        policy=plan.policy,
        chosen=plan.chosen.cut.index,
        link_bytes_per_s=link,
        bars=bars,
        model=profile.about.get("model", ""),
        assumed=assumed,
    )


def _through_its_codec(profile: ModelProfile) -> tuple[ModelProfile, str]:
    """The profile in the codec that all its cuts were measured in, where that is one; its name, else none."""
    measured = [set(cut.codecs) for cut in profile.cuts if cut.index != SHIP_IMAGES]
    common = set.intersection(*measured) if measured else set()
    if len(common) != 1:
        return profile, ""
    (codec,) = common
    return profile.through(codec), codec


def _bar(value: object, where: str) -> PlanBar:
    fields = object_of(value, where)
    return PlanBar(
        index=whole(fields, "index", f"{where}.index"),
        name=line(fields, "name", f"{where}.name"),
        bytes_per_image=number(fields, "bytes_per_image", f"{where}.bytes_per_image"),
        stage_s={stage: number(fields, f"{stage}_s", f"{where}.{stage}_s") for stage in STAGES},
        epoch_s=number(fields, "predicted_epoch_s", f"{where}.predicted_epoch_s"),
    )
