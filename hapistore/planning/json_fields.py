"""Fields of parsed JSON that anyone may have written: what they must hold, and one line where they hold something else.

Each function takes the path of its field, for messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UsageError

# Above any byte count or time that can be meant, and far below what sums to infinity.
_MOST = 1e15
_LONGEST = 1000  # characters of a name; modules nest


def object_of(value: object, where: str) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise UsageError(f"{where}: found {shown(value)}, expected an object")
    return value


def field(fields: Mapping[str, Any], key: str, where: str) -> Any:
    """A field that must be there."""
    if key not in fields:
        raise UsageError(f"{where}: missing; add it")
    return fields[key]


def number(fields: Mapping[str, Any], key: str, where: str) -> float:
    """A number of bytes or seconds."""
    value = field(fields, key, where)
    # Comparisons with NaN are false, so it fails here too.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
        raise UsageError(f"{where}: found {shown(value)}, expected a number from 0 to {_MOST:g}")
    return float(value)


def whole(fields: Mapping[str, Any], key: str, where: str, least: int = 0) -> int:
    """A whole number."""
    value = field(fields, key, where)
    if type(value) is not int or not least <= value <= _MOST:
        raise UsageError(f"{where}: found {shown(value)}, expected a whole number from {least} to {_MOST:g}")
    return value


def line(fields: Mapping[str, Any], key: str, where: str) -> str:
    """A text of one line, not of none."""
    value = field(fields, key, where)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= _LONGEST:
        raise UsageError(f"{where}: found {shown(value)}, expected a text of one line")
    return value


def shown(value: object) -> str:
    """A value in a message: short, on one line."""
    if isinstance(value, (list, dict)):
        kind = "a list" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value)}" if value else f"{kind} of none"
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
