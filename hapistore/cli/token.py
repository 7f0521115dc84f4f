"""``hapistore token``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..service.tenancy.new_token import add_token
from .common import json_option, print_json, reporting_errors


@click.command("token", short_help="Let somebody use a service.")
@click.argument("name")
@click.option("--weight", type=float, help="Share of the processor, against others' weights.  [default: 1]")
@click.option(
    "--datasets",
    multiple=True,
    metavar="PATTERN",
    help="Confine the tenant to datasets of such names; may be given several times.  [default: all]",
)
@click.option("--max-requests", type=int, help="Of the tenant at once.  [default: 64]")
@click.option("--max-bytes", metavar="SIZE", help="Of its answers and uploads in memory at once.  [default: 512MiB]")
@click.option("--memory", metavar="SIZE", help="Of its extraction batches.  [default: its share]")
@click.option("--may-drain", is_flag=True, help="It may have the service finish and end.")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default="tenants.toml",
    show_default=True,
    help="The file of tenants, which the service is given.",
)
@json_option
@reporting_errors
def command(name: str, path: Path, as_json: bool, **options: Any) -> None:
    """Make a token for the tenant NAME, and print it: it is shown this once.

    The file keeps only its hash. A tenant that is there already keeps its settings, but for those given, and its other
    tokens: to change a token, make a new one, and remove the old hash from the file once nobody uses it. A service
    that runs reads the file again on SIGHUP.

    \b
    Examples:
      hapistore token alice --file tenants.toml
      hapistore token vision-lab --weight 2 --datasets 'pets*' --memory 2GiB
    """
    given = {field: value for field, value in options.items() if value is not None and value is not False}
    settings = {field.replace("_", "-"): value for field, value in given.items() if value != ()}
    token = add_token(path, name, settings)
    if as_json:
        print_json({"tenant": name, "token": token, "file": str(path)})
        return
    click.echo(f"{name} is let in by this token; {path} keeps its hash, so note it now", err=True)
    click.echo(token)
