"""``hapistore rollback``."""

from __future__ import annotations

import click

from ..catalog.expiring import roll_back
from ..stores import ObjectStore
from ..units import format_bytes
from .common import committing_store_option, json_option, print_json, reporting_errors


@click.command("rollback", short_help="Bring an older version back, as a new one.")
@click.argument("version", metavar="DATASET@N")
@committing_store_option
@json_option
@reporting_errors
def command(store: ObjectStore, version: str, as_json: bool) -> None:
    """Commit a new version of a dataset that equals DATASET@N; nothing is copied.

    It works for expired versions and removed datasets, as long as gc has not removed what they need.

    \b
    Example:
      hapistore rollback pets@3
    """
    result = roll_back(store, version)
    found = result.version
    if as_json:
        print_json(
            {
                "dataset": found.dataset,
                "version": found.number,
                "committed": result.committed,
                "equals": result.source,
                "rows": found.rows,
                "bytes": found.size_bytes,
                "shards": len(found.shards),
            }
        )
        return
    done = "committed" if result.committed else "nothing new:"
    click.echo(
        f"{done} {found.label}, equal to {found.dataset}@{result.source}: {found.rows} rows, "
        f"{format_bytes(found.size_bytes)}"
    )
