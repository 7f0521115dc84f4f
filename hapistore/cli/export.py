"""``hapistore export``."""

from __future__ import annotations

from pathlib import Path

import click

from ..catalog import open_view
from ..read import export_view
from ..stores import ObjectStore
from ..units import format_bytes
from .codecs import recipe_option
from .common import json_option, print_json, reporting_errors, store_option
from .progress import ShowProgress


@click.command("export", short_help="Write features, keys and labels for other tools.")
@click.argument("dataset")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--subset", type=click.Choice(["train", "val", "test"]), help="Only these rows.  [default: all]")
@click.option("--codec", metavar="SPEC", help="Which features.  [default: the only ones there are]")
@recipe_option
@store_option
@json_option
@reporting_errors
def command(
    store: ObjectStore,
    dataset: str,
    file: Path,
    subset: str | None,
    codec: str | None,
    recipe: str | None,
    as_json: bool,
) -> None:
    """Write the features of DATASET to FILE, with keys, labels, subsets and all other columns.

    FILE.parquet holds everything, features as float32 lists. FILE.npy holds the features as one float32 array;
    FILE.annotations.parquet beside it the rest, row by row the same.

    \b
    Example:
      hapistore export pets pets.parquet --codec u8c+zstd
    """
    view = open_view(store, dataset, recipe=recipe, codec=codec)
    with ShowProgress(f"export {dataset}", "shards") as progress:
        result = export_view(view, file, subset=subset, on_progress=progress)
    if as_json:
        print_json(
            {**view.identity, "rows": result.rows, "files": [str(f) for f in result.files], "bytes": result.bytes}
        )
    else:
        names = ", ".join(str(f) for f in result.files)
        click.echo(f"{view}: {result.rows} rows to {names}, {format_bytes(result.bytes)}")
