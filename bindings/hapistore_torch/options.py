"""Options of datasets, as `hapistore.ReadOptions`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from hapistore import ReadOptions, UsageError


def read_options(given: Mapping[str, Any]) -> ReadOptions:
    """Options by name; ``shuffle`` may be True or False, ``columns`` any sequence.

    Raises:
        UsageError: there is no such option, or its value cannot be.
    """
    names = [field.name for field in fields(ReadOptions)]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
            raise UsageError(f"there is no option {name}{hint}")
    options = dict(given)
    if "shuffle" in options:
        options["shuffle"] = shuffle_mode(options["shuffle"], "global")
    if "columns" in options:
        options["columns"] = tuple(options["columns"])
    return ReadOptions(**options)


def shuffle_mode(shuffle: str | bool, mode: str) -> str:
    """``mode``, or ``global`` if that is ``none``, for True; ``none`` for False; a mode is itself."""
    if isinstance(shuffle, bool):
        return "none" if not shuffle else "global" if mode == "none" else mode
    return shuffle
