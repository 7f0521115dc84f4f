"""``hapistore quarantine ls | export | retry``."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..catalog import require_store, resolve_version
from ..errors import UsageError
from ..ingestion import Quarantined, RetryResult, export_quarantine, open_source, outstanding, retry
from ..stores import ObjectStore
from ..units import format_seconds
from .common import committing_store_option, json_option, print_json, reporting_errors, store_option
from .progress import ShowProgress

_reason_option = click.option("--reason", metavar="CODE", help="Only images with this reason.  [default: all]")


@click.group("quarantine", short_help="Images that were left out, and why.")
def command() -> None:
    """Images that were left out of a dataset, and why.

    An image is left out if an ingest could not use it and the dataset does not have it; the newest such ingest says
    why. Each verb takes --store and --json.

    \b
    Examples:
      hapistore quarantine ls pets
      hapistore quarantine export pets --out left-out.csv
      hapistore quarantine retry pets ./photos
    """


@command.command("ls")
@click.argument("dataset")
@_reason_option
@click.option("--limit", type=click.IntRange(0), default=100, show_default=True, help="How many keys are shown.")
@store_option
@json_option
@reporting_errors
def list_outstanding(store: ObjectStore, dataset: str, reason: str | None, limit: int, as_json: bool) -> None:
    """List what was left out of DATASET (or DATASET@VERSION): counts by reason, then the keys.

    --json prints all of them, whatever the limit.

    \b
    Examples:
      hapistore quarantine ls pets
      hapistore quarantine ls pets@3 --reason truncated --json
    """
    label, images = _outstanding(store, dataset, reason)
    counts = dict(sorted(Counter(image.reason for image in images).items(), key=lambda item: (-item[1], item[0])))
    if as_json:
        print_json({"version": label, "reasons": counts, "quarantined": [vars(image) for image in images]})
        return
    if not images:
        click.echo(f"{label}: nothing is left out")
        return
    reasons = Table(box=box.SIMPLE_HEAD)
    reasons.add_column("reason")
    reasons.add_column("images", justify="right")
    for code, count in counts.items():
        reasons.add_row(Text(code), f"{count:,}")
    keys = Table(box=box.SIMPLE_HEAD)
    for column in ("key", "reason", "detail"):
        keys.add_column(column, overflow="fold")
    for image in images[:limit]:
        keys.add_row(*(Text(_printable(text)) for text in (image.key, image.reason, image.detail)))
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(reasons)
    console.print(keys)
    if len(images) > limit:
        click.echo(f"… {len(images):,} in all: --limit, --json, or hapistore quarantine export {label} --out FILE.csv")


@command.command("export")
@click.argument("dataset")
@click.option(
    "--out",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="Ends in .csv, .jsonl or .parquet; must not be there yet.",
)
@_reason_option
@store_option
@json_option
@reporting_errors
def export_outstanding(store: ObjectStore, dataset: str, path: Path, reason: str | None, as_json: bool) -> None:
    """Write what was left out of DATASET (or DATASET@VERSION) to a file: key, reason and detail of each image.

    \b
    Example:
      hapistore quarantine export pets --out left-out.csv
    """
    label, images = _outstanding(store, dataset, reason)
    export_quarantine(images, path)
    if as_json:
        print_json({"version": label, "images": len(images), "file": str(path)})
    else:
        click.echo(f"{label}: {len(images):,} images left out, listed in {path}")


@command.command("retry")
@click.argument("dataset")
@click.argument("source")
@click.option("--path-column", metavar="NAME", help="Manifest column with the image's path.  [default: path]")
@click.option("--label-column", metavar="NAME", help="Manifest column with the label.  [default: label, if any]")
@click.option("--subset-column", metavar="NAME", help="Manifest column with the subset.  [default: subset, if any]")
@click.option("--threads", type=click.IntRange(1), help="Images read and checked at once.  [default: cores, at most 8]")
@committing_store_option
@json_option
@reporting_errors
def retry_outstanding(
    store: ObjectStore,
    dataset: str,
    source: str,
    path_column: str | None,
    label_column: str | None,
    subset_column: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Read what was left out of DATASET from SOURCE again, and nothing else.

    For files that were mended since, or after an update of Pillow. Commits a version with the images that can be used
    now, and a report of the others. SOURCE is as in `hapistore ingest`, with the same keys.

    \b
    Example:
      hapistore quarantine retry pets ./photos
    """
    opened = open_source(source, path_column=path_column, label_column=label_column, subset_column=subset_column)
    with ShowProgress(f"retry {dataset}", "images") as progress:
        result = retry(store, dataset, opened, threads=threads, on_progress=progress)
    if as_json:
        print_json(_to_json(result))
    else:
        _print(result)


def _to_json(result: RetryResult) -> dict[str, Any]:
    ingested = result.ingested
    return {
        "version": ingested.version.label,
        "committed": ingested.committed,
        "images": ingested.images,
        "bytes": ingested.bytes,
        "before": result.before,
        "after": result.after,
        "missing": result.missing,
        "quarantined": [vars(image) for image in ingested.quarantined],
        "seconds": ingested.seconds,
    }


def _print(result: RetryResult) -> None:
    ingested = result.ingested
    click.echo(
        f"committed {ingested.version.label}: {ingested.images:,} of {result.before:,} images can be used now, "
        f"{result.after:,} are left out still, in {format_seconds(ingested.seconds)}"
    )
    if result.missing:
        missing = _printable(result.missing[0])
        click.echo(f"{len(result.missing):,} are not in the source (the first is {missing})", err=True)


def _outstanding(store: ObjectStore, dataset: str, reason: str | None) -> tuple[str, list[Quarantined]]:
    """(label of the version, its images left out), those of one reason where one is named."""
    require_store(store)
    version = resolve_version(store, dataset)
    images = outstanding(store, version)
    if reason is None:
        return version.label, images
    chosen = [image for image in images if image.reason == reason]
    if images and not chosen:
        there = ", ".join(sorted({image.reason for image in images}))
        raise UsageError(f"nothing is left out of {version.label} for reason {reason!r}; there is {there}")
    return version.label, chosen


def _printable(text: str) -> str:
    """Hostile keys must not move the cursor of a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
