"""``hapistore expire``."""

from __future__ import annotations

import click

from ..catalog.expiring import expire_versions
from ..stores import ObjectStore
from .common import json_option, print_json, reporting_errors, store_option


@click.command("expire", short_help="Give up a dataset's old versions.")
@click.argument("dataset")
@click.option("--keep", type=click.IntRange(1), required=True, metavar="N", help="How many of the newest stay.")
@store_option
@json_option
@reporting_errors
def command(store: ObjectStore, dataset: str, keep: int, as_json: bool) -> None:
    """Give up all versions of DATASET but the newest N. What only they need is removed by gc, after its grace.

    Until then, hapistore rollback brings them back.

    \b
    Example:
      hapistore expire pets --keep 3
    """
    result = expire_versions(store, dataset, keep=keep)
    if as_json:
        print_json({"dataset": result.dataset, "expired": list(result.expired), "kept": list(result.kept)})
        return
    kept = ", ".join(f"{result.dataset}@{number}" for number in result.kept)
    click.echo(f"expired {len(result.expired)} versions; kept {kept}")
