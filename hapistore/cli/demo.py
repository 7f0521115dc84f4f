"""``hapistore demo``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table

from ..stores import ObjectStore
from ..units import format_seconds
from .common import committing_store_option, json_option, print_json, reporting_errors
from .progress import ShowProgress

if TYPE_CHECKING:
    from ..demo import DemoResult


@click.command("demo", short_help="Transfer learning on real photographs, start to finish.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the held-out fifth and of training.")
@click.option(
    "--images", type=click.IntRange(min=50), help="Take only so many photographs: for a quick look at a slow store."
)
@committing_store_option
@json_option
@reporting_errors
def command(store: ObjectStore, seed: int, images: int | None, as_json: bool) -> None:
    """Transfer learning on 2,624 real photographs, from compressed features.

    Ingests the ELPV photographs of solar cells (CC BY-NC-SA 4.0), extracts features with EfficientNet-Lite0 and
    its ImageNet weights, trains a linear head to find defective cells, and shows what that took. What a run
    stores, the next one finds done.

    \b
    Example:
      hapistore demo --json
    """
    from ..demo import run_demo  # brings torch: after --help and usage errors

    result = run_demo(store, seed=seed, images=images, progress=ShowProgress)
    if as_json:
        print_json(result.to_json())
    else:
        _print(result, store.url)


def _print(result: DemoResult, url: str) -> None:
    from ..demo.photographs import LICENCE

    found = "" if result.images_extracted else " (found stored)"
    fewer = result.bytes_per_image_raw / result.bytes_per_image_features
    table = Table(box=box.SIMPLE_HEAD, title="Finding defective solar cells with a frozen EfficientNet-Lite0")
    table.add_column("")
    table.add_column("measured", justify="right")
    rows = [
        ("images", f"{result.images:,}"),
        ("bytes per image, as photographs", f"{result.bytes_per_image_raw:,.0f}"),
        ("bytes per image, as stored features", f"{result.bytes_per_image_features:,.0f}  ({fewer:.0f}× fewer)"),
        ("ingest", format_seconds(result.ingest_s)),
        ("extraction, once" + found, format_seconds(result.extract_s)),
        ("one training epoch", format_seconds(result.epoch_s)),
        ("test accuracy, stored 8-bit features", f"{result.test_accuracy:.4f}"),
        ("test accuracy, full-precision features", f"{result.test_accuracy_full_precision:.4f}"),
    ]
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    at = "" if url.endswith("/hapistore-data") else f" --store {url}"
    click.echo(f"Photographs: {LICENCE}. Network: {result.weights}.")
    click.echo(f"Accuracies are means over {result.heads} heads; a stratified fifth of the photographs was held out.")
    click.echo("\nNext:")
    click.echo(f"  hapistore inspect {result.dataset}{at}")
    click.echo("  hapistore ingest mine ./photos             # a folder of class folders, or a .csv manifest")
    click.echo("  hapistore extract mine --backbone efficientnet_lite0")
