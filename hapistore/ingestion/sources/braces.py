"""Names of many files in one: ``train-{000..099}.tar``, ``{a,b}.tar``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...errors import UsageError

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_MOST = 1_000_000


def expand_braces(pattern: str) -> list[str]:
    """Every name that a pattern stands for, as a shell would write them; the pattern itself where it has no braces.

    Raises:
        UsageError: there are more than a million.
    """
    names: list[str] = []
    for name in _expand(pattern):
        names.append(name)
        if len(names) > _MOST:
            raise UsageError(f"{pattern} stands for more than {_MOST} files; name fewer at once")
    return names


def _expand(pattern: str) -> Iterator[str]:
    for found in _BRACES.finditer(pattern):  # innermost first
        choices = _choices(found[1])
        if choices is not None:
            for choice in choices:
                yield from _expand(pattern[: found.start()] + choice + pattern[found.end() :])
            return
    yield pattern


def _choices(text: str) -> Iterator[str] | None:
    bounds = _RANGE.fullmatch(text)
    if bounds:
        first, last = int(bounds[1]), int(bounds[2])
        # As in bash: where a bound is written with zeros before it, all are as wide.
        padded = any(re.match(r"-?0\d", bound) for bound in bounds.groups())
        width = max(map(len, bounds.groups())) if padded else 0
        step = 1 if last >= first else -1
        return (f"{number:0{width}d}" for number in range(first, last + step, step))
    return iter(text.split(",")) if "," in text else None
