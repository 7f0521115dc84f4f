"""Rows of a dataset version that have no features, as they cross: sealed JSON, of the shards that lack any."""

from __future__ import annotations

from hapistore_format import DatasetVersion, FormatError, read_sealed_json, write_sealed_json
from hapistore_format.missing_rows import MissingRow, missing_json, parse_missing
from hapistore_format.sealed_json import take

from ..catalog.missing import MissingRows


def write_missing(missing: MissingRows) -> bytes:
    """All of them, by the number of their shard."""
    return write_sealed_json({"shards": {str(number): missing_json(rows) for number, rows in missing.items()}})


def read_missing(data: memoryview, *, version: DatasetVersion, where: str) -> MissingRows:
    """The same, of shards and rows that the version has.

    Raises:
        DamagedError: it is not as it was written.
        FormatError: it is none, or of another version.
    """
    shards = take(read_sealed_json(data, where=where), "shards", dict, where=where)
    found: dict[int, tuple[MissingRow, ...]] = {}
    for text, value in shards.items():
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else len(version.shards)
        rows = parse_missing(value, where=where) if isinstance(value, dict) else ()
        if number >= len(version.shards) or not rows or rows[-1].row >= version.shards[number].rows:
            raise FormatError("bad-field", f"shard {text!r:.40} of {version.label} lacks no such rows", where=where)
        found[number] = rows
    return found
