"""``hapistore ls``."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from ..catalog import dataset_features, dataset_names, latest_version, require_store
from ..stores import ObjectStore
from ..units import format_bytes
from .common import json_option, print_json, reporting_errors, store_option


@click.command("ls", short_help="List datasets and their features.")
@store_option
@json_option
@reporting_errors
def command(store: ObjectStore, as_json: bool) -> None:
    """List the datasets of a store, with the features that each has.

    \b
    Example:
      hapistore ls --store ./hapistore-data
    """
    require_store(store)
    datasets = [_describe(store, name) for name in dataset_names(store)]
    if as_json:
        print_json({"store": store.url, "datasets": datasets})
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("dataset", "images", "size", "features", "codec", "size of features", "done"):
        table.add_column(
            column, justify="right" if column in ("images", "size", "size of features", "done") else "left"
        )
    for dataset in datasets:
        _add_rows(table, dataset)
    if not datasets:
        click.echo("no datasets yet: hapistore ingest DATASET SOURCE")
        return
    # In a pipe there is no width to fit into.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _describe(store: ObjectStore, name: str) -> dict[str, Any]:
    version = latest_version(store, name)
    if version is None:
        return {"dataset": name, "version": 0, "images": 0, "bytes": 0, "shards": 0, "quarantined": 0, "features": []}
    return {
        "dataset": name,
        "version": version.number,
        "images": version.rows,
        "bytes": version.size_bytes,
        "shards": len(version.shards),
        "quarantined": version.quarantined,
        "features": [
            {
                "recipe": s.recipe.digest,
                "name": s.recipe.label,
                "architecture": s.recipe.architecture,
                "cut": s.recipe.cut,
                "precision": s.recipe.precision,
                "codec": s.codec,
                "shape": list(s.recipe.shape),
                "shards": s.shards,
                "complete": s.complete,
                "bytes": s.bytes,
                "bytes_per_image": s.bytes_per_row,
            }
            for s in dataset_features(store, version)
        ],
    }


def _add_rows(table: Table, dataset: dict[str, Any]) -> None:
    head = (f"{dataset['dataset']}@{dataset['version']}", str(dataset["images"]), format_bytes(dataset["bytes"]))
    features = dataset["features"]
    if not features:
        table.add_row(*head, "none yet", "", "", "")
    for number, feature in enumerate(features):
        table.add_row(
            *(head if number == 0 else ("", "", "")),
            f"{feature['name']} {feature['shape']}",
            feature["codec"],
            f"{format_bytes(feature['bytes'])} ({feature['bytes_per_image']:.0f} B an image)",
            "all" if feature["complete"] else f"{feature['shards']} of {dataset['shards']}",
        )
