"""``hapistore transcode``."""

from __future__ import annotations

import click

from hapistore_format import codec_names, get_codec

from ..catalog import codec_sizes, transcode
from ..stores import ObjectStore
from ..units import format_bytes, format_seconds
from .common import json_option, print_json, reporting_errors, store_option
from .progress import ShowProgress


@click.command("transcode", short_help="Make another codec of stored features.")
@click.argument("dataset")
@click.option(
    "--codec",
    "codecs",
    metavar="SPEC",
    required=True,
    help=f"What to make; several with commas. One of {', '.join(codec_names())}.",
)
@click.option("--from", "source", metavar="SPEC", help="The codec to make it from.  [default: a lossless one]")
@click.option("--recipe", metavar="RECIPE", help="Digest or architecture.  [default: the only one there is]")
@store_option
@json_option
@reporting_errors
def command(
    store: ObjectStore, dataset: str, codecs: str, source: str | None, recipe: str | None, as_json: bool
) -> None:
    """Make features of DATASET in another codec, from stored ones, without the network.

    From a lossless codec the result is what extraction would have stored. From another one (--from), values are
    rounded a second time.

    \b
    Example:
      hapistore transcode pets --codec u4c+zstd
    """
    specs = [get_codec(spec.strip()).spec for spec in codecs.split(",")]
    with ShowProgress(f"transcode {dataset}", "shards") as progress:
        result = transcode(store, dataset, codecs=specs, recipe=recipe, source=source, on_progress=progress)
    sizes = codec_sizes(store, result.version, result.recipe, specs)
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
            }
        )
        return
    click.echo(
        f"{result.version.label} · {result.recipe.architecture}:{result.recipe.cut}: {result.transcoded} image shards "
        f"transcoded, {result.present} done before, in {format_seconds(result.seconds)}"
    )
    for codec, size in sizes.items():
        click.echo(f"{codec}: {format_bytes(size)} an image")
