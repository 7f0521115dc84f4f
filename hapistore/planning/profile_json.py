"""A model profile from parsed JSON: one line naming the field for whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from .profile import CutProfile, ModelProfile

# Above any byte count or time that can be meant, and far below what sums to infinity.
_MOST = 1e15
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
    )


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
    if not isinstance(name, str) or not name:
        raise UsageError(f"{where}.name: found {_shown(name)}, expected a text")
    numbers = {
        key: _number(fields, key, f"{where}.{key}")
        for key in ("bytes_per_image", "storage_s_per_image", "compute_s_per_image")
    }
    return CutProfile(
        index=_whole(fields, "index", f"{where}.index"),
        name=name,
        **numbers,
        storage_s_high=_high(fields, "storage_s_high", numbers["storage_s_per_image"], where),
        compute_s_high=_high(fields, "compute_s_high", numbers["compute_s_per_image"], where),
    )


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
