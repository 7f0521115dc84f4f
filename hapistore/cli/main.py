"""The command group: verbs are imported when they run, so that ``hapistore ls`` needs no torch."""

from __future__ import annotations

from importlib import import_module

import click

from .. import __version__

VERBS = (
    "ingest", "annotate", "convert", "plan", "extract", "transcode", "export", "cp",
    "ls", "inspect", "log", "peek", "report", "quarantine", "rm", "expire", "rollback", "gc", "verify", "doctor",
    "audit", "cache", "serve", "token", "demo",
)  # fmt: skip


class _LazyGroup(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = import_module(f".{name}", __package__).command
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hapistore")
def main() -> None:
    """Images stay near the disks; training reads compressed features.

    Exit status: 0 done, 1 it failed or found damage, 2 it was asked for something that cannot be.

    \b
    Example:
      hapistore ingest pets ./photos
      hapistore extract pets --backbone efficientnet_lite0
      hapistore ls
    """
