"""``hapistore inspect``."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from hapistore_format import AnnotationShard, DatasetVersion

from ..catalog import dataset_features, require_store, resolve_version
from ..catalog.missing import find_missing, list_left_out
from ..catalog.names import annotations_name
from ..catalog.reading import read_object
from ..ingestion import load_quarantine
from ..stores import ObjectStore
from ..units import format_bytes
from .common import json_option, print_json, reporting_errors, store_option

_SHOWN = 20


@click.command("inspect", short_help="Show what a dataset version holds.")
@click.argument("dataset")
@store_option
@json_option
@reporting_errors
def command(store: ObjectStore, dataset: str, as_json: bool) -> None:
    """Show DATASET (or DATASET@VERSION): subsets, labels, columns, shards, features, quarantined images.

    \b
    Example:
      hapistore inspect pets@1
    """
    require_store(store)
    found = _inspect(store, resolve_version(store, dataset))
    if as_json:
        print_json(found)
    else:
        _print(found)


def _inspect(store: ObjectStore, version: DatasetVersion) -> dict[str, Any]:
    labels: Counter[str] = Counter()
    subsets: Counter[str] = Counter()
    columns: dict[str, str] = {}
    live = 0
    for shard in version.shards:
        name = annotations_name(shard.annotations)
        annotations = read_object(store, name, AnnotationShard)
        live += annotations.live_rows
        columns |= annotations.columns()
        for row in annotations.table.select(["label", "subset", "dropped"]).to_pylist():
            if not row["dropped"]:
                labels["(none)" if row["label"] is None else str(row["label"])] += 1
                subsets[row["subset"] or "(none)"] += 1
    return {
        "dataset": version.dataset,
        "version": version.number,
        "created": version.created,
        "images": live,
        "dropped": version.rows - live,
        "bytes": version.size_bytes,
        "labels": dict(sorted(labels.items())),
        "subsets": dict(sorted(subsets.items())),
        "columns": columns,
        "shards": [vars(shard) for shard in version.shards],
        "features": [
            {
                "recipe": s.recipe.digest,
                "name": s.recipe.label,
                "architecture": s.recipe.architecture,
                "cut": s.recipe.cut,
                "precision": s.recipe.precision,
                "weights": s.recipe.notes.get("weights", ""),
                "codec": s.codec,
                "shape": list(s.recipe.shape),
                "complete": s.complete,
                "bytes": s.bytes,
                "bytes_per_image": s.bytes_per_row,
                "without_features": [
                    {"key": image.key, "reason": image.reason}
                    for image in list_left_out(store, version, find_missing(store, version, s.recipe, s.codec))
                ],
            }
            for s in dataset_features(store, version)
        ],
        "quarantined": [vars(image) for image in load_quarantine(store, version)],
    }


def _print(found: dict[str, Any]) -> None:
    click.echo(f"{found['dataset']}@{found['version']}, {found['created']}")
    click.echo(f"images    {found['images']} ({found['dropped']} dropped), {format_bytes(found['bytes'])}")
    for what in ("subsets", "labels"):
        counts = list(found[what].items())
        more = f", … ({len(counts)} in all)" if len(counts) > _SHOWN else ""
        click.echo(f"{what:<9} " + ", ".join(f"{name}: {count}" for name, count in counts[:_SHOWN]) + more)
    click.echo("columns   " + ", ".join(f"{name} ({kind})" for name, kind in found["columns"].items()))
    for shard in found["shards"][:_SHOWN]:
        size = f"{format_bytes(shard['bytes'])}, {shard['layout']}"
        click.echo(f"shard     {shard['images'][:12]} {shard['rows']} images, {size}")
    for feature in found["features"]:
        done = "" if feature["complete"] else ", not finished"
        click.echo(
            f"features  {feature['name']} {feature['shape']} {feature['codec']}, "
            f"{feature['bytes_per_image']:.0f} B an image, recipe {feature['recipe'][:12]}, {feature['weights']}{done}"
        )
        without = feature["without_features"]
        if without:
            shown = ", ".join(f"{image['key']} [{image['reason']}]" for image in without[:_SHOWN])
            click.echo(f"          none of {len(without)}: {shown}{', …' if len(without) > _SHOWN else ''}")
    for image in found["quarantined"][:_SHOWN]:
        click.echo(f"left out  {image['key']}: {image['detail']} [{image['reason']}]")
    if len(found["quarantined"]) > _SHOWN:
        click.echo(f"… {len(found['quarantined'])} in all: hapistore quarantine ls {found['dataset']}")
