"""What the verbs of features share: ``--codec``, ``--max-error``, ``--recipe``, and what ``auto`` measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hapistore_format import codec_names, get_codec

from ..catalog.codec_choice import AUTO, DEFAULT_MAX_ERROR, CodecChoice
from ..units import format_bytes

_F = TypeVar("_F", bound=Callable[..., Any])


def codec_option(*, help: str, **more: Any) -> Callable[[_F], _F]:
    """``--codec SPEC,SPEC``, handed to the verb as ``codecs``."""
    text = (
        f"{help}; several with commas. One of {', '.join(codec_names())}; or {AUTO}, the smallest within --max-error."
    )
    return click.option("--codec", "codecs", metavar="SPEC", help=text, **more)


max_error_option = click.option(
    "--max-error",
    type=float,
    metavar="PART",
    help=f"With {AUTO}: largest error of a value, in parts of its channel's spread.  [default: {DEFAULT_MAX_ERROR}]",
)

recipe_option = click.option(
    "--recipe", metavar="RECIPE", help="Digest or architecture.  [default: the only one there is]"
)


def parse_codecs(text: str) -> list[str]:
    """``u8c+zstd,f32`` as a list.

    Raises:
        FormatError: ``unknown-codec``.
    """
    names = [name.strip() for name in text.split(",")]
    return [name if name == AUTO else get_codec(name).spec for name in names]


def echo_choice(choice: CodecChoice | None) -> None:
    """What ``auto`` measured, as a table, and what it took."""
    if choice is None:
        return
    if not choice.measured:
        click.echo(f"{AUTO}: {choice.codec}, as chosen before for --max-error {choice.max_error:g}")
        return
    click.echo(f"{AUTO}, on {choice.rows} rows of the first image shard, error at most {choice.max_error:g}:")
    for m in sorted(choice.measured, key=lambda m: m.bytes_per_row):
        if m.error == float("inf"):
            click.echo(f"   {m.codec:10} cannot store these values")
            continue
        mark = "*" if m.codec == choice.codec else " "
        size, rate = format_bytes(m.bytes_per_row), m.decode_bytes_s / 1e9
        click.echo(f" {mark} {m.codec:10} {size:>10} a row   error {m.error:<8.2g} decodes {rate:.1f} GB/s of float32")


def choice_json(choice: CodecChoice | None) -> dict[str, Any]:
    """The same for ``--json``, as a member of its own."""
    if choice is None:
        return {}
    keys = ("codec", "bytes_per_row", "error", "decode_bytes_s")
    measured = [{key: getattr(m, key) for key in keys} for m in choice.measured if m.error != float("inf")]
    return {"auto": {"codec": choice.codec, "max_error": choice.max_error, "rows": choice.rows, "measured": measured}}
