"""Names of many files in one: ``train-{000..099}.tar``, ``{a,b}.tar``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ...errors import UsageError

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_MOST = 100_000


def expand_braces(pattern: str) -> list[str]:
    """Every name that a pattern stands for, as a shell would write them; the pattern itself where it has no braces.

    Raises:
        UsageError: there are more than 100,000.
    """
    names: list[str] = []
    for name in _expand(pattern):
        names.append(name)
        if len(names) > _MOST:
            raise UsageError(f"{pattern} stands for more than {_MOST} files; name fewer at once")
    return names


def _expand(pattern: str) -> Iterator[str]:
    for start, character in enumerate(pattern):
        inside = _inside(pattern, start) if character == "{" else None
        choices = _choices(inside) if inside is not None else None
        if inside is not None and choices is not None:
            rest = pattern[start + len(inside) + 2 :]
            yield from (pattern[:start] + choice + end for choice in choices for end in _expand(rest))
            return
    yield pattern


def _inside(pattern: str, start: int) -> str | None:
    """What lies between a brace and the one that closes it."""
    depth = 0
    for at in range(start, len(pattern)):
        depth += {"{": 1, "}": -1}.get(pattern[at], 0)
        if not depth:
            return pattern[start + 1 : at]
    return None


def _choices(inside: str) -> Iterable[str] | None:
    bounds = _RANGE.fullmatch(inside)
    if bounds:
        first, last = int(bounds[1]), int(bounds[2])
        # As in bash: where a bound is written with zeros before it, all are as wide.
        padded = any(re.match(r"-?0\d", bound) for bound in bounds.groups())
        width = max(map(len, bounds.groups())) if padded else 0
        step = 1 if last >= first else -1
        return (f"{number:0{width}d}" for number in range(first, last + step, step))
    parts, depth = [""], 0
    for character in inside:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return (name for part in parts for name in _expand(part)) if len(parts) > 1 else None
