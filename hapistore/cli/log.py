"""``hapistore log``."""

from __future__ import annotations

import itertools
from typing import Any

import click

from ..catalog.history import Changes, LogEntry, dataset_log
from ..stores import ObjectStore
from ..units import format_bytes
from .common import json_option, print_json, reporting_errors, store_option

_COUNTS = ("added", "replaced", "dropped", "restored", "relabelled", "resubset", "edited")


@click.command("log", short_help="List a dataset's versions, and what each changed.")
@click.argument("dataset")
@click.option("--limit", type=click.IntRange(1), help="Only the newest so many.")
@store_option
@json_option
@reporting_errors
def command(store: ObjectStore, dataset: str, limit: int | None, as_json: bool) -> None:
    """List the versions of DATASET, newest first, and what each changed from the one below it.

    Images are counted that are not dropped: added, replaced by other bytes, dropped, restored, relabelled,
    resubset (put into another subset), edited (metadata). Expired versions are listed with when they expired.

    \b
    Example:
      hapistore log pets --limit 5
    """
    entries = itertools.islice(dataset_log(store, dataset), limit)
    if as_json:
        print_json({"dataset": dataset, "versions": [_to_json(entry) for entry in entries]})
        return
    for entry in entries:
        version = entry.version
        expired = f", expired {entry.expired}" if entry.expired else ""
        click.echo(f"{version.label}  {version.created}{expired}")
        quarantined = f", {version.quarantined} left out" if version.quarantined else ""
        click.echo(
            f"  {version.rows} rows in {len(version.shards)} shards, {format_bytes(version.size_bytes)}{quarantined}"
        )
        click.echo(f"  {_describe(entry.changes)}")


def _describe(changes: Changes | None) -> str:
    if changes is None:
        return "changes unknown: gc removed the annotations"
    said = [f"{getattr(changes, name)} {name}" for name in _COUNTS if getattr(changes, name)]
    if changes.columns_added:
        said.append("columns " + ", ".join(f"+{name} ({kind})" for name, kind in changes.columns_added.items()))
    if changes.columns_removed:
        said.append("columns " + ", ".join(f"-{name}" for name in changes.columns_removed))
    return ", ".join(said) or "the same images and annotations"


def _to_json(entry: LogEntry) -> dict[str, Any]:
    version, changes = entry.version, entry.changes
    return {
        "version": version.number,
        "created": version.created,
        "expired": entry.expired,
        "rows": version.rows,
        "shards": len(version.shards),
        "bytes": version.size_bytes,
        "quarantined": version.quarantined,
        "changes": None if changes is None else {**vars(changes), "columns_removed": list(changes.columns_removed)},
    }
