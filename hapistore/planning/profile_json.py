"""A model profile as JSON and back: one line naming the field for whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..errors import UsageError
from .profile import CodecCost, CutProfile, ModelProfile

# Above any byte count or time that can be meant, and far below what sums to infinity.
_MOST = 1e15
_LONGEST = 1000  # characters of a name; modules nest
_COSTS = ("bytes_per_image", "storage_s_per_image", "compute_s_per_image")
_OPTIONAL = ("storage_fixed_s", "memory_fixed_bytes", "memory_bytes_per_image")
_OVERLAPS = {"full": True, "none": False}


def profile_from_json(value: object) -> ModelProfile:
    """The profile that a parsed JSON document describes; fields it does not know are left alone.

    Raises:
        UsageError: a field is missing, or holds something else than a profile may; the message begins with its path.
    """
    fields = _object(value, "profile")
    freeze_index = _whole(fields, "freeze_index", "freeze_index")
    cuts = _cuts(_field(fields, "cuts", "cuts"))
    if all(cut.index > freeze_index for cut in cuts):
        raise UsageError(f"cuts: all lie behind freeze_index {freeze_index}, expected at least one at or before it")
    return ModelProfile(
        input_bytes_per_image=_number(fields, "input_bytes_per_image", "input_bytes_per_image"),
        freeze_index=freeze_index,
        images=_whole(fields, "images", "images", least=1),
        overlapped=_overlapped(_field(fields, "overlap", "overlap")),
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
        "cuts": [{key: value for key, value in asdict(cut).items() if value is not None} for cut in profile.cuts],
    }


def _cuts(value: object) -> tuple[CutProfile, ...]:
    if not isinstance(value, list) or not value:
        raise UsageError(f"cuts: found {_shown(value)}, expected a list of at least one cut")
    cuts: dict[int, CutProfile] = {}
    for place, item in enumerate(value):
        cut = _cut(item, f"cuts[{place}]")
        if cut.index in cuts:
            raise UsageError(f"cuts[{place}].index: found {cut.index} twice, expected each index once")
        cuts[cut.index] = cut
    return tuple(cuts[index] for index in sorted(cuts))


def _cut(value: object, where: str) -> CutProfile:
    fields = _object(value, where)
    name = _field(fields, "name", f"{where}.name")
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= _LONGEST:
        raise UsageError(f"{where}.name: found {_shown(name)}, expected a text of one line")
    numbers = {key: _number(fields, key, f"{where}.{key}") for key in _COSTS}
    others = {key: _number(fields, key, f"{where}.{key}") for key in _OPTIONAL if key in fields}
    return CutProfile(
        index=_whole(fields, "index", f"{where}.index"),
        name=name,
        **numbers,
        **others,
        codecs=_codecs(fields.get("codecs", {}), f"{where}.codecs"),
        storage_s_high=_high(fields, "storage_s_high", numbers["storage_s_per_image"], where),
        compute_s_high=_high(fields, "compute_s_high", numbers["compute_s_per_image"], where),
    )


def _codecs(value: object, where: str) -> dict[str, CodecCost]:
    found = {}
    for codec, item in _object(value, where).items():
        fields = _object(item, f"{where}.{codec}")
        found[codec] = CodecCost(**{key: _number(fields, key, f"{where}.{codec}.{key}") for key in _COSTS})
    return found


def _texts(value: object, where: str) -> dict[str, str]:
    return {key: text for key, text in _object(value, where).items() if isinstance(text, str)}


def _high(fields: Mapping[str, Any], key: str, typical: float, where: str) -> float | None:
    """The most that was measured, where it is told."""
    if key not in fields:
        return None
    high = _number(fields, key, f"{where}.{key}")
    if high < typical:
        raise UsageError(f"{where}.{key}: found {high:g}, expected at least the {typical:g} it is the most of")
    return high


def _overlapped(value: object) -> bool:
    if not isinstance(value, str) or value not in _OVERLAPS:
        raise UsageError(f"overlap: found {_shown(value)}, expected 'full' or 'none'")
    return _OVERLAPS[value]


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: found {_shown(value)}, expected an object")
    return value


def _field(fields: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in fields:
        raise UsageError(f"{where}: missing; add it to the profile")
    return fields[key]


def _number(fields: Mapping[str, Any], key: str, where: str) -> float:
    value = _field(fields, key, where)
    # Comparisons with NaN are false, so it fails here too.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
        raise UsageError(f"{where}: found {_shown(value)}, expected a number from 0 to {_MOST:g}")
    return float(value)


def _whole(fields: Mapping[str, Any], key: str, where: str, least: int = 0) -> int:
    value = _field(fields, key, where)
    if type(value) is not int or not least <= value <= _MOST:
        raise UsageError(f"{where}: found {_shown(value)}, expected a whole number from {least} to {_MOST:g}")
    return value


def _shown(value: object) -> str:
    """A value in a message: short, on one line."""
    if isinstance(value, (list, dict)):
        kind = "a list" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value)}" if value else f"{kind} of none"
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
