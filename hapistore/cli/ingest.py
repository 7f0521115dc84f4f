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
    help="Take usual JPEGs and PNGs by their headers and ends and decode the rest, or decode every image: slower.",
)
@click.option("--mirror", is_flag=True, help="Also drop records that SOURCE does not have any more.")
@click.option("--path-column", metavar="NAME", help="Manifest column with the image's path.  [default: path]")
@click.option(
    "--label-column", metavar="NAME", help="Column (or member of .json) with the label.  [default: label, if any]"
)
@click.option(
    "--subset-column",
    metavar="NAME",
    help="Column (or member of .json) with train, val or test.  [default: subset, if any]",
)
@click.option("--image-column", metavar="NAME", help="Parquet column with the images.  [default: the only one]")
@click.option(
    "--image-extension", metavar="EXT", help="Which part of a WebDataset sample is the image.  [default: the only one]"
)
@click.option(
    "--subset-from",
    metavar="RULE",
    help="Subsets by column:NAME, folder:LEVEL, random:val=0.1,test=0.1,seed=0 (a record never moves) or "
    "stratified:… (exact for each label).",
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
    image_column: str | None,
    image_extension: str | None,
    subset_from: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Add the images of SOURCE to DATASET, as a new version.

    SOURCE is a folder (or s3://bucket/prefix) with one folder of images a class; a .csv, .jsonl or .parquet manifest
    with a column path; WebDataset tars; Parquet files with images in a column; a folder that Hugging Face's
    save_to_disk wrote; or an LMDB of encoded images. All but the last two may lie in a bucket. docs/sources.md says
    what becomes of each.

    Image bytes are stored as they are. The same source again adds nothing; new images are appended, changed ones
    replaced, changed labels rewritten. What is no image is left out and reported.

    \b
    Examples:
      hapistore ingest pets ./photos
      hapistore ingest pets s3://bucket/photos
      hapistore ingest cells cells.csv --label-column defect
      hapistore ingest web 'shards/train-{000..099}.tar' --subset-from random:val=0.1
      hapistore ingest hub 'data/*.parquet' --image-column photo
      hapistore ingest faces faces.lmdb
    """
    chosen: dict[str, Any] = {"threads": threads} if threads else {}
    options = IngestOptions(
        shard_bytes=shard_size, layout=layout, on_error=on_error, check=check, mirror=mirror, **chosen
    )
    opened = open_source(
        source,
        path_column=path_column,
        label_column=label_column,
        subset_column=subset_column,
        image_column=image_column,
        image_extension=image_extension,
        subset_from=subset_from,
    )
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
