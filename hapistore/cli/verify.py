"""``hapistore verify``."""

from __future__ import annotations

import sys

import click

from ..catalog import require_store, verify_store
from ..catalog.verifying import set_aside
from ..errors import FormatError
from ..stores import ObjectStore
from ..units import format_bytes
from .common import json_option, print_json, reporting_errors, store_option
from .progress import ShowProgress


@click.command("verify", short_help="Read every byte and name what is damaged.")
@click.option(
    "--set-aside", "move", is_flag=True, help="Move damaged objects to damaged/, so that they are made again."
)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Objects checked at once.")
@store_option
@json_option
@reporting_errors
def command(store: ObjectStore, move: bool, threads: int, as_json: bool) -> None:
    """Read every byte of a store, check every checksum, digest and reference, and name each damaged object.

    Exit status 1 if anything is damaged or missing. Damaged images come back by ingesting their source again,
    damaged features by extracting again; both repair only what is missing.

    \b
    Example:
      hapistore verify --set-aside && echo sound
    """
    try:
        require_store(store)
    except FormatError as error:
        click.echo(f"warning: the store's marker is damaged: {error}", err=True)
    total = sum(info.bytes for info in store.list())
    done = 0
    with ShowProgress("verify", "bytes") as progress:

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        report = verify_store(store, threads=threads, on_progress=advance)
    moved = [name for damage in report.damaged if move and (name := set_aside(store, damage))]
    if as_json:
        print_json(
            {
                "objects": report.objects,
                "bytes": report.bytes,
                "damaged": [vars(damage) for damage in report.damaged],
                "unknown": report.unknown,
                "set_aside": moved,
            }
        )
    else:
        for damage in report.damaged:
            click.echo(f"{damage.name}: {damage.detail} [{damage.code}]")
        for name in report.unknown:
            click.echo(f"note: {name} is no object of hapistore's", err=True)
        for name in moved:
            click.echo(f"moved to {name}", err=True)
        state = f"{len(report.damaged)} damaged" if report.damaged else "all sound"
        click.echo(f"{report.objects} objects, {format_bytes(report.bytes)}: {state}")
    sys.exit(1 if report.damaged else 0)
