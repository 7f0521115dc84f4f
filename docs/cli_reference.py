"""The command reference, from the commands' own help: ``python docs/cli_reference.py > docs/cli.md``."""

from __future__ import annotations

import click

from hapistore.cli import main

_WIDTH = 100


def reference() -> str:
    """The whole page."""
    context = click.Context(main, info_name="hapistore", max_content_width=_WIDTH, terminal_width=_WIDTH)
    parts = ["# Command reference\n\nMade from `--help` by `make docs`.\n", _section(main, context)]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        if command is None:
            raise AssertionError(f"{name} is listed and not there")
        inner = click.Context(command, info_name=name, parent=context, max_content_width=_WIDTH, terminal_width=_WIDTH)
        parts.append(_section(command, inner))
    return "\n".join(parts)


def _section(command: click.Command, context: click.Context) -> str:
    return f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    print(reference(), end="")
