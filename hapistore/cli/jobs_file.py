"""Files of extraction jobs: TOML with a ``[[job]]`` for each, or JSON lines; words are those of ``extract``'s flags."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import FormatError, UsageError
from ..images import DECODERS
from .codecs import parse_codecs

_TABLE = "job"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected text")
    return value


def _one_of(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return str(value)

    return read


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError("expected a number of 0 or more")
    return float(value)


def _positive(value: Any) -> float:
    if not _number(value):
        raise ValueError("expected a number above 0")
    return float(value)


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("expected a whole number of 1 or more")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("expected true or false")
    return value


def _codecs(value: Any) -> tuple[str, ...]:
    return tuple(parse_codecs(_text(value)))


FIELDS: dict[str, Callable[[Any], Any]] = {
    "dataset": _text,
    "backbone": _text,
    "cut": _text,
    "weights": _text,
    "codec": _codecs,
    "max-error": _number,
    "max-batch": _count,
    "executor": _one_of("auto", "torch", "inductor", "onnx", "openvino"),
    "precision": _one_of("f32", "bf16"),
    "decoder": _one_of(*DECODERS),
    "device": _text,
    "retry-bad": _flag,
    "tenant": _text,
    "weight": _positive,
    "name": _text,
}
REQUIRED = ("dataset", "backbone")


@dataclass(frozen=True)
class JobEntry:
    """One job as it stands in a file.

    Attributes:
        where: for errors, such as ``jobs.toml, line 3``. values: by field, those that are there.
    """

    where: str
    values: dict[str, Any] = field(default_factory=dict)


def read_jobs(path: Path) -> list[JobEntry]:
    """All jobs of a file, checked field by field.

    Raises:
        UsageError: one of them cannot be used; it is said on which line, and which field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    found = _of_toml(path, text) if path.suffix.lower() == ".toml" else _of_json_lines(path, text)
    entries = [_checked(path, line, values, lines) for line, values, lines in found]
    if not entries:
        raise UsageError(f"{path} has no jobs; write a JSON object a line, or a [[{_TABLE}]] for each in TOML")
    return entries


def _checked(path: Path, line: int, values: dict[str, Any], lines: dict[str, int]) -> JobEntry:
    found: dict[str, Any] = {}
    for name, value in values.items():
        where = f"{path}, line {lines.get(name, line)}, field {name}"
        if name not in FIELDS:
            close = difflib.get_close_matches(name.replace("_", "-"), FIELDS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(FIELDS)}"
            raise UsageError(f"{where}: there is no such field; {hint}")
        try:
            found[name] = FIELDS[name](value)
        except (ValueError, FormatError) as error:
            raise UsageError(f"{where}: found {value!r:.80}, {error}") from error
    for name in REQUIRED:
        if name not in found:
            raise UsageError(f"{path}, line {line}, field {name}: it is absent, and every job wants one")
    return JobEntry(f"{path}, line {line}", found)


def _of_json_lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any], dict[str, int]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number}: it is no JSON object: {error}") from error
        if not isinstance(values, dict):
            raise UsageError(f"{path}, line {number}: found {values!r:.80}, expected an object of fields")
        yield number, values, {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"field {twice} is there twice")
    return dict(pairs)


def _of_toml(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any], dict[str, int]]]:
    if sys.version_info < (3, 11):
        raise UsageError(f"{path}: reading TOML takes Python 3.11; write one JSON object a line instead")
    import tomllib

    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: it is no TOML: {error}") from error
    jobs = document.get(_TABLE, [])
    if document.keys() - {_TABLE} or not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        other = ", ".join(sorted(document.keys() - {_TABLE})) or f"{_TABLE} = …"
        raise UsageError(f"{path}: found {other}, expected nothing but [[{_TABLE}]] tables")
    yield from _with_lines(text, jobs)


def _with_lines(text: str, jobs: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any], dict[str, int]]]:
    """Jobs with the line of each and of its fields: TOML's parser tells none."""
    lines = text.split("\n")
    heads = [number for number, line in enumerate(lines, 1) if re.match(rf"\s*\[\[\s*{_TABLE}\s*\]\]", line)]
    for place, job in enumerate(jobs):
        head = heads[place] if place < len(heads) else 1
        end = heads[place + 1] if place + 1 < len(heads) else len(lines) + 1
        fields = {
            match[1]: number
            for number in range(head + 1, end)
            if (match := re.match(r"\s*\"?([\w-]+)\"?\s*=", lines[number - 1]))
        }
        yield head, job, fields
