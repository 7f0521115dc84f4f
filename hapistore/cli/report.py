"""``hapistore report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..pages import Holding, ReportOptions, ReportResult, write_report
from ..stores import ObjectStore
from ..units import format_bytes
from .common import Rate, json_option, print_json, reporting_errors, store_option
from .progress import ShowProgress


@click.command("report", short_help="What was saved and where the time goes, as one HTML file.")
@click.argument("datasets", metavar="DATASET...", nargs=-1, required=True)
@click.option(
    "--out",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    metavar="FILE.html",
    help="The page to write.",
)
@click.option(
    "--run",
    "runs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="What extract, ingest or plan printed with --json, what plan --save-profile kept, or a training run of your "
    "own (docs/pages.md). May be repeated.",
)
@click.option(
    "--link", "links", type=Rate(), multiple=True, help="A link of yours, such as 1Gbit/s or 25MB/s. May be repeated."
)
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True, help="How many a training has.")
@click.option("--replace", is_flag=True, help="Overwrite the file if it is there.")
@store_option
@json_option
@reporting_errors
def command(
    store: ObjectStore,
    datasets: tuple[str, ...],
    path: Path,
    runs: tuple[Path, ...],
    links: tuple[float, ...],
    epochs: int,
    replace: bool,
    as_json: bool,
) -> None:
    """Report on each DATASET (or DATASET@VERSION) as a page: bytes of images and features, time on the link, runs.

    The page is one file without scripts that loads nothing from elsewhere. Sizes are those that the store lists; times
    on the link are computed from them, and those of runs are measured.

    \b
    Examples:
      hapistore report pets
      hapistore report pets --link 200Mbit/s --epochs 50 --out pets-report.html
      hapistore report pets dogs@3 --run extract.json --run training.json
    """
    options = ReportOptions(epochs=epochs, links=links, runs=runs, replace=replace)
    with ShowProgress(f"report {' '.join(datasets)}", "datasets") as progress:
        result = write_report(store, datasets, path, options, on_progress=progress)
    if as_json:
        print_json(_to_json(result, path))
    else:
        for holding in result.holdings:
            click.echo(_line(holding))
        click.echo(f"{path}: {len(result.runs):,} runs, {format_bytes(result.bytes)}")


def _line(holding: Holding) -> str:
    version, best = holding.version, holding.smallest
    said = f"{version.label}: {version.rows:,} images, an epoch pulls {format_bytes(version.size_bytes)}"
    if best is None:
        return f"{said}; no complete features"
    return f"{said}, or {format_bytes(best.epoch_bytes)} as {best.name}"


def _to_json(result: ReportResult, path: Path) -> dict[str, Any]:
    return {
        "datasets": [_holding(holding) for holding in result.holdings],
        "runs": [file.name for file in result.runs],
        "bytes": result.bytes,
        "file": str(path),
    }


def _holding(holding: Holding) -> dict[str, Any]:
    version = holding.version
    return {
        "version": version.label,
        "images": version.rows,
        "bytes": version.size_bytes,
        "shards": len(version.shards),
        "feature_bytes": holding.feature_bytes,
        "weights_bytes": holding.weights_bytes,
        "features": [
            {
                "name": one.label,
                "codec": one.codec,
                "recipes": list(one.recipes),
                "variants": one.variants,
                "shards": one.shards,
                "complete": one.complete,
                "bytes": one.bytes,
                "epoch_bytes": one.epoch_bytes,
            }
            for one in holding.features
        ],
    }
