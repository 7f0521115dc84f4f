"""A model profile as JSON and back: one line naming the field for whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..errors import UsageError
from .json_fields import field, line, number, object_of, shown, whole
from .profile import CodecCost, CutProfile, ModelProfile

_COSTS = ("bytes_per_image", "storage_s_per_image", "compute_s_per_image")
_OPTIONAL = ("storage_fixed_s", "memory_fixed_bytes", "memory_bytes_per_image")
_LONGEST_CODEC = 100
_OVERLAPS = {"full": True, "none": False}


def profile_from_json(value: object) -> ModelProfile:
    """The profile that a parsed JSON document describes; fields it does not know are left alone.

    Raises:
        UsageError: a field is missing, or holds something else than a profile may; the message begins with its path.
    """
    fields = object_of(value, "profile")
    freeze_index = whole(fields, "freeze_index", "freeze_index")
    cuts = _cuts(field(fields, "cuts", "cuts"))
    if all(cut.index > freeze_index for cut in cuts):
        raise UsageError(f"cuts: all lie behind freeze_index {freeze_index}, expected at least one at or before it")
    return ModelProfile(
        input_bytes_per_image=number(fields, "input_bytes_per_image", "input_bytes_per_image"),
        freeze_index=freeze_index,
        images=whole(fields, "images", "images", least=1),
        overlapped=_overlapped(field(fields, "overlap", "overlap")),
        cuts=cuts,
        about=_texts(fields.get("about", {}), "about"),
    )


def profile_to_json(profile: ModelProfile) -> dict[str, Any]:
    """Plain data that `profile_from_json` reads."""
    return {
        "about": dict(profile.about),
        "input_bytes_per_image": profile.input_bytes_per_image,
        "freeze_index": profile.freeze_index,
        "images": profile.images,
        "overlap": "full" if profile.overlapped else "none",
        "cuts": [cut_to_json(cut) for cut in profile.cuts],
    }


def cut_to_json(cut: CutProfile) -> dict[str, Any]:
    """Plain data that `cut_from_json` reads."""
    return {key: value for key, value in asdict(cut).items() if value is not None}


def _cuts(value: object) -> tuple[CutProfile, ...]:
    if not isinstance(value, list) or not value:
        raise UsageError(f"cuts: found {shown(value)}, expected a list of at least one cut")
    cuts: dict[int, CutProfile] = {}
    for place, item in enumerate(value):
        cut = cut_from_json(item, f"cuts[{place}]")
        if cut.index in cuts:
            raise UsageError(f"cuts[{place}].index: found {cut.index} twice, expected each index once")
        cuts[cut.index] = cut
    return tuple(cuts[index] for index in sorted(cuts))


def cut_from_json(value: object, where: str) -> CutProfile:
    """One cut; ``where`` is its path in messages.

    Raises:
        UsageError: as `profile_from_json`.
    """
    fields = object_of(value, where)
    numbers = {key: number(fields, key, f"{where}.{key}") for key in _COSTS}
    others = {key: number(fields, key, f"{where}.{key}") for key in _OPTIONAL if key in fields}
    return CutProfile(
        index=whole(fields, "index", f"{where}.index"),
        name=line(fields, "name", f"{where}.name"),
        **numbers,
        **others,
        codecs=_codecs(fields.get("codecs", {}), f"{where}.codecs"),
        storage_s_high=_high(fields, "storage_s_high", numbers["storage_s_per_image"], where),
        compute_s_high=_high(fields, "compute_s_high", numbers["compute_s_per_image"], where),
    )


def _codecs(value: object, where: str) -> dict[str, CodecCost]:
    found = {}
    for codec, item in object_of(value, where).items():
        if not codec.isprintable() or len(codec) > _LONGEST_CODEC:
            raise UsageError(f"{where}: found the name {shown(codec)}, expected a codec such as u8c+zstd")
        fields = object_of(item, f"{where}.{codec}")
        found[codec] = CodecCost(**{key: number(fields, key, f"{where}.{codec}.{key}") for key in _COSTS})
    return found


def _texts(value: object, where: str) -> dict[str, str]:
    return {key: text for key, text in object_of(value, where).items() if isinstance(text, str)}


def _high(fields: Mapping[str, Any], key: str, typical: float, where: str) -> float | None:
    """The most that was measured, where it is told."""
    if key not in fields:
        return None
    high = number(fields, key, f"{where}.{key}")
    if high < typical:
        raise UsageError(f"{where}.{key}: found {high:g}, expected at least the {typical:g} it is the most of")
    return high


def _overlapped(value: object) -> bool:
    if not isinstance(value, str) or value not in _OVERLAPS:
        raise UsageError(f"overlap: found {shown(value)}, expected 'full' or 'none'")
    return _OVERLAPS[value]
