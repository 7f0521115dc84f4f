"""``hapistore convert``."""

from __future__ import annotations

import click

from hapistore_format import LAYOUTS

from ..ingestion import convert
from ..stores import ObjectStore
from ..units import format_bytes, format_seconds
from .common import committing_store_option, json_option, print_json, reporting_errors
from .progress import ShowProgress


@click.command("convert", short_help="Change the layout of a dataset's image shards.")
@click.argument("dataset")
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    required=True,
    help="arrow: sealed Arrow files, which stream. lmdb: LMDB files, memory-mapped by key.",
)
@committing_store_option
@json_option
@reporting_errors
def command(store: ObjectStore, dataset: str, layout: str, as_json: bool) -> None:
    """Write the image shards of DATASET in another layout, and commit a version that lists those.

    Images, annotations and features stay as they are, and so do older versions. A stopped run continues where
    it was; a dataset that has the layout already gets no new version.

    \b
    Example:
      hapistore convert pets --layout lmdb
    """
    with ShowProgress(f"convert {dataset}", "images") as progress:
        result = convert(store, dataset, layout=layout, on_progress=progress)
    version = result.version
    if as_json:
        print_json(
            {
                "dataset": version.dataset,
                "version": version.number,
                "committed": result.committed,
                "layout": layout,
                "images": result.images,
                "bytes": version.size_bytes,
                "shards": len(version.shards),
                "shards_converted": result.converted,
                "shards_present": result.present,
                "seconds": result.seconds,
            }
        )
    else:
        done = "committed" if result.committed else "nothing new:"
        click.echo(
            f"{done} {version.label}: {len(version.shards)} shards in layout {layout}, {result.converted} of them "
            f"written now, {format_bytes(version.size_bytes)} in {format_seconds(result.seconds)}"
        )
