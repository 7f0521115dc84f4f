"""``hapistore ingest``."""

from __future__ import annotations

from typing import Any

import click

from hapistore_format import LAYOUTS

from ..ingestion import CHECKS, IngestOptions, IngestResult, ingest, open_source
from ..stores import ObjectStore
from ..units import format_bytes, format_seconds
from .common import Bytes, committing_store_option, json_option, print_json, reporting_errors
from .progress import ShowProgress


@click.command("ingest", short_help="Add images to a dataset.")
@click.argument("dataset")
@click.argument("source")
@click.option("--shard-size", type=Bytes(), default="64MiB", show_default=True, help="Size of an image shard.")
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default="arrow",
    show_default=True,
    help="Of new image shards: arrow streams, lmdb is memory-mapped.",
)
@click.option(
    "--on-error",
    type=click.Choice(["quarantine", "fail"]),
    default="quarantine",
    show_default=True,
    help="Report unusable images and keep the rest, or stop at the first.",
)
@click.option(
    "--check",
    type=click.Choice(sorted(CHECKS, reverse=True)),
    default="header",
    show_default=True,
    help="Parse what each image says of itself, or decode every pixel: slower, and finds files that end early.",
)
@click.option("--mirror", is_flag=True, help="Also drop records that SOURCE does not have any more.")
@click.option("--path-column", metavar="NAME", help="Manifest column with the image's path.  [default: path]")
@click.option(
    "--label-column", metavar="NAME", help="Manifest column with the label.  [default: label, if there is one]"
)
@click.option(
    "--subset-column",
    metavar="NAME",
    help="Manifest column with train, val or test.  [default: subset, if there is one]",
)
@click.option("--threads", type=click.IntRange(1), help="Images read and checked at once.  [default: cores, at most 8]")
@committing_store_option
@json_option
@reporting_errors
def command(
    store: ObjectStore,
    dataset: str,
    source: str,
    shard_size: int,
    layout: str,
    on_error: str,
    check: str,
    mirror: bool,
    path_column: str | None,
    label_column: str | None,
    subset_column: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Add the images of SOURCE to DATASET, as a new version.

    SOURCE is a folder with one folder of images a class (root/LABEL/image.jpg, or root/train/LABEL/… with
    train, val and test), or a manifest: a .csv or .jsonl file with a column path, and if wanted label, subset,
    key and any further columns. Paths are relative to the manifest.

    Image bytes are stored as they are. The same source again adds nothing; new images are appended, changed ones
    replaced, changed labels rewritten. What is no image is left out and reported.

    \b
    Examples:
      hapistore ingest pets ./photos
      hapistore ingest cells cells.csv --label-column defect
    """
    chosen: dict[str, Any] = {"threads": threads} if threads else {}
    options = IngestOptions(
        shard_bytes=shard_size, layout=layout, on_error=on_error, check=check, mirror=mirror, **chosen
    )
    opened = open_source(source, path_column=path_column, label_column=label_column, subset_column=subset_column)
    with ShowProgress(f"ingest {dataset}", "images") as progress:
        result = ingest(store, dataset, opened, options, on_progress=progress)
    if as_json:
        print_json(_to_json(result))
    else:
        _print(result)


def _to_json(result: IngestResult) -> dict[str, Any]:
    return {
        "dataset": result.version.dataset,
        "version": result.version.number,
        "committed": result.committed,
        "images": result.images,
        "bytes": result.bytes,
        "shards": len(result.version.shards),
        "shards_written": result.shards_written,
        "shards_present": result.shards_present,
        "quarantined": [vars(image) for image in result.quarantined],
        "ignored": result.ignored,
        "seconds": result.seconds,
    }


def _print(result: IngestResult) -> None:
    done = "committed" if result.committed else "nothing new:"
    click.echo(
        f"{done} {result.version.label}: {result.images} images, {format_bytes(result.bytes)}, "
        f"{len(result.version.shards)} shards ({result.shards_written} new) in {format_seconds(result.seconds)}"
    )
    for why, count in sorted(result.ignored.items()):
        click.echo(f"passed over {count} {why}", err=True)
    for image in result.quarantined[:10]:
        click.echo(f"quarantined {image.key}: {image.detail} [{image.reason}]", err=True)
    if len(result.quarantined) > 10:
        click.echo(f"… {len(result.quarantined)} in all: hapistore inspect {result.version.label}", err=True)
