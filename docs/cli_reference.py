"""The command reference, from the commands' own help: ``python docs/cli_reference.py > docs/cli.md``."""

from __future__ import annotations

import click

from hapistore.cli import main

_WIDTH = 100


def reference() -> str:
    """The whole page."""
    context = click.Context(main, info_name="hapistore", max_content_width=_WIDTH, terminal_width=_WIDTH)
    return "\n".join(["# Command reference\n\nMade from `--help` by `make docs`.\n", *_sections(main, context)])


def _sections(command: click.Command, context: click.Context) -> list[str]:
    """The command's own help, then that of its verbs."""
    parts = [f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"]
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        inner = command.get_command(context, name)
        if inner is None:
            raise AssertionError(f"{name} is listed and not there")
        below = click.Context(inner, info_name=name, parent=context, max_content_width=_WIDTH, terminal_width=_WIDTH)
        parts += _sections(inner, below)
    return parts


if __name__ == "__main__":
    print(reference(), end="")
