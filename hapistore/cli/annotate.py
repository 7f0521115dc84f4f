"""``hapistore annotate``."""

from __future__ import annotations

import click

from ..ingestion import AnnotateResult, annotate
from ..stores import ObjectStore
from ..units import format_seconds
from .common import committing_store_option, json_option, print_json, reporting_errors
from .progress import ShowProgress


@click.command("annotate", short_help="Change labels, subsets and metadata; drop images.")
@click.argument("dataset")
@click.argument("table")
@click.option("--keep-empty", is_flag=True, help="An empty cell leaves what is stored, instead of emptying it.")
@click.option(
    "--retype",
    metavar="COLUMN",
    multiple=True,
    help="COLUMN may change its type, e.g. from text to numbers; needs a value for every image. May be repeated.",
)
@committing_store_option
@json_option
@reporting_errors
def command(
    store: ObjectStore, dataset: str, table: str, keep_empty: bool, retype: tuple[str, ...], as_json: bool
) -> None:
    """Change what is said of DATASET's images, as a new version. No image moves, and all features stay valid.

    TABLE is a .csv, .jsonl or .parquet file with a column key (hapistore export and inspect show keys) and any of
    label, subset (train, val, test or nothing), dropped (true leaves an image out, false brings it back, nothing
    leaves it as it is) and metadata columns; .jsonl and .parquet may have lists and structs. Columns and images
    that the table does not have stay as they are; an empty cell empties. Unknown keys, keys there twice and columns
    of another type are refused, and nothing is written.

    \b
    Examples:
      hapistore annotate pets labels.csv
      hapistore annotate pets ages.csv --keep-empty --retype age
    """
    with ShowProgress(f"annotate {dataset}", "shards") as progress:
        result = annotate(store, dataset, table, keep_empty=keep_empty, retype=retype, on_progress=progress)
    if as_json:
        print_json(
            {
                "dataset": result.version.dataset,
                "version": result.version.number,
                "committed": result.committed,
                "rows": result.rows,
                **vars(result.counts),
                "columns_added": list(result.columns_added),
                "shards": len(result.version.shards),
                "shards_changed": result.shards,
                "seconds": result.seconds,
            }
        )
    else:
        _print(result)


def _print(result: AnnotateResult) -> None:
    done = "committed" if result.committed else "nothing new:"
    counts = [f"{count} {what}" for what, count in vars(result.counts).items() if count]
    counts += [f"new columns {', '.join(result.columns_added)}"] if result.columns_added else []
    click.echo(
        f"{done} {result.version.label}: {', '.join(counts) or 'no image changed'}; {result.rows} rows, "
        f"{result.shards} of {len(result.version.shards)} shards in {format_seconds(result.seconds)}"
    )
