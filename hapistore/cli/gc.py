"""``hapistore gc``."""

from __future__ import annotations

import sys

import click

from ..catalog.collecting import GcOptions, GcReport, collect_garbage
from ..stores import ObjectStore
from ..units import format_bytes
from .common import Seconds, json_option, print_json, reporting_errors, store_option
from .progress import ShowProgress


@click.command("gc", short_help="Remove what no version needs.")
@click.option("--grace", type=Seconds(), default="7d", show_default=True, help="What is younger stays.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--no-writers", is_flag=True, help="Nothing else writes to this store: allows any grace.")
@store_option
@json_option
@reporting_errors
def command(store: ObjectStore, grace: float, dry_run: bool, no_writers: bool, as_json: bool) -> None:
    """Remove images, annotations, features, recipes and weights that no version needs, and what killed writers left.

    Versions that expired less than the grace ago count as needed, since somebody may be reading them; objects younger
    than the grace stay, since somebody may be about to commit them. Others may write and read meanwhile; with them, the
    grace is at least 2 h. Objects that are none of hapistore's are left alone. Stopped, the next run goes on.

    Exit status 1 if a version that was committed meanwhile names an object that is gone.

    \b
    Example:
      hapistore gc --dry-run --grace 30d
    """
    options = GcOptions(grace_s=grace, dry_run=dry_run, no_writers=no_writers)
    with ShowProgress("gc", "objects") as progress:
        report = collect_garbage(store, options, on_progress=lambda done: progress(done, done))
    if as_json:
        print_json({"dry_run": dry_run, "grace_s": grace, **vars(report), "removed": dict(report.removed)})
    else:
        _print(report, dry_run)
    sys.exit(1 if report.lost else 0)


def _print(report: GcReport, dry_run: bool) -> None:
    click.echo(f"{report.versions} versions need {report.kept} of {report.objects} objects")
    count, temporary = sum(report.removed.values()), report.temporary
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(report.removed.items()))
    left = f", and {temporary} files of killed writers" if temporary else ""
    click.echo(
        f"{'would remove' if dry_run else 'removed'} {count} objects{f' ({kinds})' if kinds else ''}, "
        f"{format_bytes(report.removed_bytes)}{left}"
    )
    if report.young:
        click.echo(f"{report.young} that nothing needs are younger than the grace, and stay", err=True)
    if report.foreign:
        click.echo(f"{report.foreign} are none of hapistore's, and stay", err=True)
    for name in report.lost:
        click.echo(
            f"LOST {name}: a version committed meanwhile names it and it is gone; run `hapistore verify` and ingest "
            "the source again",
            err=True,
        )
