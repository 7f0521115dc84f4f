"""Sealed JSON, and the seal that sealed Arrow uses too (sealing.md)."""

from __future__ import annotations

import hashlib
from typing import Any

from .members import LARGEST_JSON, parse_object
from .refused import check

BLANK = b"0" * 64
BEFORE = b',\n "sha256": "'
BEHIND = b'"\n}\n'
ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def seal_of(span: bytes, at: int) -> bytes:
    """The 64 digits that belong at offset ``at`` of ``span``."""
    return hashlib.sha256(span[:at] + BLANK + span[at + 64 :]).hexdigest().encode()


def read_sealed_json(data: bytes) -> dict[str, Any]:
    """The object, without its seal: no-seal, bad-seal, bad-json, in this order."""
    check(len(data) <= LARGEST_JSON, "too-large", f"a JSON object of {len(data)} bytes")
    at = len(data) - len(BEHIND) - 64
    check(data.endswith(BEHIND) and at > 0 and data[:at].endswith(BEFORE), "no-seal", "does not end in a seal")
    check(data[at : at + 64] == seal_of(data, at), "bad-seal", "the seal does not match")
    value = parse_object(data, "bad-json")
    del value["sha256"]
    return value


def write_sealed_json(value: dict[str, Any]) -> bytes:
    """A file of the object, in the one spelling that writers use."""
    return seal_text(spell(value, 0).removesuffix("\n}").encode())


def seal_text(open_object: bytes) -> bytes:
    """Any text of an object that is still open, closed by the member with its seal."""
    blank = open_object + BEFORE + BLANK + BEHIND
    at = len(blank) - len(BEHIND) - 64
    return blank[:at] + seal_of(blank, at) + BEHIND


def spell(value: Any, level: int | None) -> str:
    """JSON with sorted members: indented from ``level`` on, or without white space where that is None."""
    if isinstance(value, dict):
        colon = ":" if level is None else ": "
        inner = None if level is None else level + 1
        return _list("{}", [f"{spell_text(n)}{colon}{spell(value[n], inner)}" for n in sorted(value)], level)
    if isinstance(value, list):
        return _list("[]", [spell(item, None if level is None else level + 1) for item in value], level)
    if isinstance(value, str):
        return spell_text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)  # of a float, Python's shortest spelling is the one that recipes.md describes


def _list(brackets: str, items: list[str], level: int | None) -> str:
    if not items or level is None:
        return brackets[0] + ",".join(items) + brackets[1]
    line = "\n" + " " * (level + 1)
    return brackets[0] + line + f",{line}".join(items) + "\n" + " " * level + brackets[1]


def spell_text(value: str) -> str:
    """A string as it is, but for what must be escaped."""
    return '"' + "".join(ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in value) + '"'
