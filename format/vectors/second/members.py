"""JSON objects and what their members must be: the rules that all descriptions share."""

from __future__ import annotations

import json
import string
from typing import Any

from .refused import Refused, check

LARGEST_JSON = 256 << 20  # bytes
DEEPEST = 64  # objects and lists, one in another
HEXADECIMAL = frozenset(string.digits + "abcdef")


def parse_object(data: bytes, code: str) -> dict[str, Any]:
    """A JSON object from UTF-8; what is none is refused with ``code``."""
    check(len(data) <= LARGEST_JSON, "too-large", f"a JSON object of {len(data)} bytes")
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refused(code, f"no JSON: {error}") from None
    check(isinstance(value, dict), code, "JSON, but no object")
    check(_depth(value) <= DEEPEST, code, f"nested more than {DEEPEST} deep")
    return dict(value)


def _depth(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max((_depth(v) for v in (value.values() if isinstance(value, dict) else value)), default=0)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a member that is there twice")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def check_format(description: dict[str, Any], known: tuple[str, ...] = ()) -> None:
    """What store.md's versioning rules ask of every description; ``known`` are features that it may require."""
    number = integer(description, "format", least=None)
    check(number == 1, "unsupported-version", f"format {number}")
    required = description.get("requires", [])
    check(isinstance(required, list) and all(isinstance(r, str) for r in required), "bad-field", "requires")
    check(set(required) <= set(known), "unsupported-feature", f"requires {required}")


def integer(description: dict[str, Any], name: str, *, least: int | None = 1, most: int | None = None) -> int:
    """A member that is an integer in a range; true and false are none."""
    value = description.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused("bad-field", f"{name} is no integer")
    check(least is None or value >= least, "bad-field", f"{name} is {value}")
    check(most is None or value <= most, "bad-field", f"{name} is {value}")
    return value


def text(description: dict[str, Any], name: str) -> str:
    """A member that is a string."""
    value = description.get(name)
    if not isinstance(value, str):
        raise Refused("bad-field", f"{name} is no string")
    return value


def digest(description: dict[str, Any], name: str) -> str:
    """A member that is a digest: 64 lower-case hexadecimal digits."""
    value = text(description, name)
    check(is_digest(value), "bad-field", f"{name} is no digest")
    return value


def is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= HEXADECIMAL


def shape(description: dict[str, Any]) -> list[int]:
    """The member ``shape``: 1 to 4 integers from 1 to 2**31 - 1."""
    value = description.get("shape")
    if not isinstance(value, list):
        raise Refused("bad-field", "shape is no list")
    check(1 <= len(value) <= 4, "bad-field", f"shape has {len(value)} axes")
    return [integer({"shape": side}, "shape", most=(1 << 31) - 1) for side in value]
