"""``hapistore rm``."""

from __future__ import annotations

import click

from ..catalog.expiring import remove_dataset
from ..stores import ObjectStore
from .common import json_option, print_json, reporting_errors, store_option


@click.command("rm", short_help="Remove a dataset; gc frees the space.")
@click.argument("dataset")
@store_option
@json_option
@reporting_errors
def command(store: ObjectStore, dataset: str, as_json: bool) -> None:
    """Give up all versions of DATASET: it is not listed or opened any more.

    Nothing is deleted yet. hapistore rollback brings a version back until gc has removed what it needs, which it
    does after its grace. A new ingest into DATASET begins from nothing, with the next number.

    \b
    Example:
      hapistore rm pets
    """
    result = remove_dataset(store, dataset)
    if as_json:
        print_json({"dataset": result.dataset, "expired": list(result.expired)})
    else:
        click.echo(
            f"removed {result.dataset}: {len(result.expired)} versions expired; hapistore rollback "
            f"{result.dataset}@{result.expired[-1]} brings the last one back until gc removes its images"
        )
