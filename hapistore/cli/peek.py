"""``hapistore peek``."""

from __future__ import annotations

from pathlib import Path

import click

from ..pages import ContactSheetOptions, ContactSheetResult, write_contact_sheet
from ..stores import ObjectStore
from ..units import format_bytes
from .common import json_option, print_json, reporting_errors, store_option
from .progress import ShowProgress


@click.command("peek", short_help="A contact sheet of a dataset, as one HTML file.")
@click.argument("dataset")
@click.option(
    "--out",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE.html",
    help="The page to write.",
)
@click.option("--labels", type=click.IntRange(1), default=50, show_default=True, help="How many labels have pictures.")
@click.option("--per-label", type=click.IntRange(1), default=24, show_default=True, help="How many pictures of each.")
@click.option("--replace", is_flag=True, help="Overwrite the file if it is there.")
@store_option
@json_option
@reporting_errors
def command(
    store: ObjectStore, dataset: str, path: Path, labels: int, per_label: int, replace: bool, as_json: bool
) -> None:
    """Show DATASET (or DATASET@VERSION) as a page: thumbnails by label, counts, subsets, sizes, what was left out.

    The page is one file without scripts that loads nothing from elsewhere. The largest labels have pictures, evenly
    spread; of the image shards only a few are read, and the page says which part it shows.

    \b
    Example:
      hapistore peek pets --out pets.html
    """
    options = ContactSheetOptions(labels=labels, per_label=per_label, replace=replace)
    with ShowProgress(f"peek {dataset}", "thumbnails") as progress:
        result = write_contact_sheet(store, dataset, path, options, on_progress=progress)
    if as_json:
        print_json(_to_json(result, path))
    else:
        click.echo(
            f"{path}: {result.images_shown:,} of {result.images:,} images of {result.version.label}, "
            f"{result.labels_shown:,} of {result.labels:,} labels, {format_bytes(result.bytes)}"
        )


def _to_json(result: ContactSheetResult, path: Path) -> dict[str, object]:
    return {**vars(result), "version": result.version.label, "file": str(path)}
