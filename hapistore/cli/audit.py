"""``hapistore audit``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from ..read.audit import audit
from .common import json_option, print_json, reporting_errors


@click.command("audit", short_help="Prove that training saw every row once.")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@reporting_errors
def command(folder: Path, as_json: bool) -> None:
    """Check what readers have written to FOLDER while they read (option ``audit=`` of pipes and readers).

    Over restarts, and whatever the number of ranks was: batches that were read after the checkpoint from which a run
    went on are void, all others together must be every row of an epoch once. Exit status 1 where they are not.

    \b
    Example:
      hapistore audit ./run-7/audit
    """
    epochs = audit(folder)
    if as_json:
        print_json({"epochs": [asdict(epoch) for epoch in epochs]})
    for epoch in epochs if not as_json else ():
        verdict = "wrong" if epoch.faults else "every row once" if epoch.proved else "so far none twice, none left out"
        again = f", {epoch.voided} batches read again after a restart" if epoch.voided else ""
        click.echo(f"epoch {epoch.epoch}: {verdict}: {epoch.rows:,} of {epoch.of:,} rows in {epoch.legs} passes{again}")
        for fault in epoch.faults:
            click.echo(f"  {fault}")
    if any(epoch.faults for epoch in epochs):
        sys.exit(1)
