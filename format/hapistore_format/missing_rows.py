"""Rows of a feature shard that have no features: their images could not be run through the network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .errors import FormatError
from .sealed_json import take

REQUIRED = "missing-rows"
"""What a header that lists such rows requires of its reader."""
_REASON = re.compile(r"[a-z][a-z0-9-]{0,39}")


class MissingRow(NamedTuple):
    """A row without features, and a short code for why: ``undecodable``, ``crashed``, …"""

    row: int
    reason: str


def missing_json(missing: Sequence[MissingRow]) -> dict[str, Any]:
    """Members of a header; none where no row is missing.

    Raises:
        ValueError: the rows are not ascending, or a reason is no code.
    """
    if any(not _REASON.fullmatch(reason) for _, reason in missing):
        raise ValueError(f"reasons are codes of lower-case letters, found {[m.reason for m in missing]!r:.80}")
    if any(a.row >= b.row for a, b in zip(missing, missing[1:], strict=False)):
        raise ValueError("a row is missing twice")
    return {"missing": [list(row) for row in missing], "requires": [REQUIRED]} if missing else {}


def parse_missing(value: dict[str, Any], *, where: str) -> tuple[MissingRow, ...]:
    """The rows that a header lists, ascending and from 0 on.

    Raises:
        FormatError: ``bad-field``.
    """
    if ("missing" in value) != (REQUIRED in value.get("requires", [])):
        raise FormatError("bad-field", f"it lists missing rows without requiring {REQUIRED}, or not both", where=where)
    if "missing" not in value:
        return ()
    found = []
    last = -1
    for entry in take(value, "missing", list, where=where):
        if not _is_entry(entry) or entry[0] <= last:
            raise FormatError(
                "bad-field", f"missing row {entry!r:.80}, expected [row, reason] in ascending order", where=where
            )
        last = entry[0]
        found.append(MissingRow(last, entry[1]))
    if not found:
        raise FormatError("bad-field", "its list of missing rows is empty", where=where)
    return tuple(found)


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and type(entry[0]) is int  # JSON's true is an int of Python's
        and entry[0] >= 0
        and isinstance(entry[1], str)
        and _REASON.fullmatch(entry[1]) is not None
    )
