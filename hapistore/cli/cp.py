"""``hapistore cp``."""

from __future__ import annotations

from typing import Any

import click

from ..catalog import dataset_names, require_store
from ..catalog.copying import CopyResult, copy_dataset
from ..errors import UsageError
from ..units import format_bytes, format_seconds
from .common import json_option, open_for, print_json, reporting_errors
from .progress import ShowProgress


@click.command("cp", short_help="Copy datasets with their features to another store.")
@click.argument("source", metavar="FROM_STORE")
@click.argument("target", metavar="TO_STORE")
@click.argument("dataset", required=False)
@click.option(
    "--single-writer",
    is_flag=True,
    help="Nothing else writes to TO_STORE: needed where it cannot create objects atomically.",
)
@json_option
@reporting_errors
def command(source: str, target: str, dataset: str | None, single_writer: bool, as_json: bool) -> None:
    """Copy DATASET, a name or NAME@VERSION, with all its features from one store to another; without it, all datasets.

    Each object is checked before it is written. What is there already is not copied again, so a stopped copy
    continues where it was.

    \b
    Example:
      hapistore cp ./hapistore-data s3://bucket/prefix pets
    """
    here, there = open_for(source), open_for(target, sole_writer=single_writer)
    require_store(here)
    names = [dataset] if dataset else dataset_names(here)
    if not names:
        raise UsageError(f"{here.url} has no datasets")
    results = []
    for name in names:
        with ShowProgress(f"cp {name}", "objects") as progress:
            results.append(copy_dataset(here, there, name, on_progress=progress))
        if not as_json:
            _print(results[-1])
    if as_json:
        print_json({"datasets": [_to_json(result) for result in results]})


def _to_json(result: CopyResult) -> dict[str, Any]:
    return {
        "dataset": result.version.dataset,
        "version": result.version.number,
        "committed": result.committed,
        "objects_copied": result.objects,
        "bytes_copied": result.bytes,
        "objects_present": result.present,
        "seconds": result.seconds,
    }


def _print(result: CopyResult) -> None:
    done = "committed" if result.committed else "nothing new:"
    click.echo(
        f"{done} {result.version.label}: {result.objects} objects, {format_bytes(result.bytes)} copied, "
        f"{result.present} there before, in {format_seconds(result.seconds)}"
    )
