"""``hapistore transcode``."""

from __future__ import annotations

import click

from ..catalog import codec_sizes, transcode
from ..stores import ObjectStore
from ..units import format_bytes, format_seconds
from .codecs import choice_json, codec_option, echo_choice, max_error_option, parse_codecs, recipe_option
from .common import json_option, print_json, reporting_errors, store_option
from .progress import ShowProgress


@click.command("transcode", short_help="Make another codec of stored features.")
@click.argument("dataset")
@codec_option(help="What to make", required=True)
@max_error_option
@click.option("--from", "source", metavar="SPEC", help="The codec to make it from.  [default: a lossless one]")
@recipe_option
@store_option
@json_option
@reporting_errors
def command(
    store: ObjectStore,
    dataset: str,
    codecs: str,
    max_error: float | None,
    source: str | None,
    recipe: str | None,
    as_json: bool,
) -> None:
    """Make features of DATASET in another codec, from stored ones, without the network.

    From a lossless codec the result is what extraction would have stored. From another one (--from), values are
    rounded a second time.

    \b
    Example:
      hapistore transcode pets --codec u4c+zstd
    """
    specs = parse_codecs(codecs)
    with ShowProgress(f"transcode {dataset}", "shards") as progress:
        result = transcode(
            store, dataset, codecs=specs, max_error=max_error, recipe=recipe, source=source, on_progress=progress
        )
    sizes = codec_sizes(store, result.version, result.recipe, result.codecs)
    if as_json:
        print_json(
            {
                "dataset": result.version.dataset,
                "version": result.version.number,
                "recipe": result.recipe.digest,
                "shards_transcoded": result.transcoded,
                "shards_present": result.present,
                "bytes_per_image": sizes,
                "seconds": result.seconds,
                **choice_json(result.choice),
            }
        )
        return
    click.echo(
        f"{result.version.label} · {result.recipe.label}: {result.transcoded} image shards "
        f"transcoded, {result.present} done before, in {format_seconds(result.seconds)}"
    )
    echo_choice(result.choice)
    for codec, size in sizes.items():
        click.echo(f"{codec}: {format_bytes(size)} an image")
