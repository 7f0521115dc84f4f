"""``hapistore extract``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..appearing import check_free
from ..catalog import codec_sizes, require_store, resolve_version
from ..catalog.codec_choice import check_max_error
from ..errors import UsageError
from ..images import DECODERS
from ..stores import ObjectStore
from ..units import format_bytes, format_seconds
from .codecs import choice_json, codec_option, echo_choice, max_error_option, parse_codecs
from .common import Bytes, json_option, print_json, reporting_errors, store_option
from .extract_jobs import refuse_other_flags, run_jobs
from .progress import ShowProgress

_SHOWN = 10
_AUGMENT = "crop,flip,colour"


@click.command("extract", short_help="Compute and store a dataset's features.")
@click.argument("dataset", required=False)
@click.option(
    "--backbone",
    metavar="NAME",
    help="efficientnet_lite0, 1 or 2; torchvision/NAME, timm/NAME, transformers/ID_OR_FOLDER.",
)
@click.option("--cut", metavar="NAME", help="Where the frozen part ends, e.g. pool, map or logits.  [default: pool]")
@codec_option(help="How features are stored", default="u8c+zstd", show_default=True)
@max_error_option
@click.option(
    "--weights",
    metavar="WHICH",
    default="pretrained",
    show_default=True,
    help="pretrained, random (a fixed seed), or a .safetensors file.",
)
@click.option(
    "--memory",
    type=Bytes(),
    metavar="SIZE",
    help="What the process, its child included, may occupy at its peak.  [default: 80 % of what is free]",
)
@click.option("--max-batch", type=click.IntRange(1), default=256, show_default=True, help="Largest extraction batch.")
@click.option(
    "--executor",
    type=click.Choice(["auto", "torch", "inductor", "onnx", "openvino"]),
    default="auto",
    show_default=True,
    help="What runs the network; auto measures for some seconds and takes the fastest that agrees with torch.",
)
@click.option(
    "--precision",
    type=click.Choice(["f32", "bf16"]),
    default="f32",
    show_default=True,
    help="Arithmetic of the network. Part of the recipe: features in bf16 are others, often made twice as fast.",
)
@click.option(
    "--decoder",
    type=click.Choice(DECODERS),
    help="pillow as networks are trained, or fast: JPEGs at the scale needed, OpenCV; features of another recipe.  "
    "[default: pillow]",
)
@click.option("--device", metavar="DEVICE", help="A torch device such as cuda:0.  [default: cuda if there is one]")
@click.option(
    "--child/--no-child",
    default=False,
    show_default=True,
    help="Run the network in a process of its own, so that its crash or want of memory costs a batch, not the job.",
)
@click.option(
    "--variants",
    type=click.IntRange(1),
    metavar="K",
    help="Store K augmented variants of each image besides, for training to draw from; more can be added later.",
)
@click.option(
    "--augment",
    metavar="HOW",
    help=f"What is changed at random: crop[:LEAST-MOST], flip, colour[:PERCENT].  [default: {_AUGMENT}]",
)
@click.option(
    "--augment-seed", type=click.IntRange(0, 2**32 - 1), metavar="N", help="Of all that is drawn.  [default: 0]"
)
@click.option("--retry-bad", is_flag=True, help="Try images again that an earlier run had to leave out.")
@click.option(
    "--share",
    metavar="I/N",
    help="This machine's share where N extract at once: it begins with the Ith, and then helps with the others'.",
)
@click.option("--trace", type=click.Path(path_type=Path), help="Write what every thread did when, for a trace viewer.")
@click.option(
    "--jobs",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Run many extractions in one worker: TOML with a [[job]] for each, or an object a line in JSON.",
)
@click.option("--threads", type=click.IntRange(1), help="Images decoded at once.  [default: cores, at most 8]")
@store_option
@json_option
@reporting_errors
@click.pass_context
def command(
    context: click.Context,
    store: ObjectStore,
    dataset: str | None,
    backbone: str | None,
    cut: str | None,
    codecs: str,
    max_error: float | None,
    weights: str,
    memory: int | None,
    max_batch: int,
    executor: str,
    decoder: str | None,
    precision: str,
    device: str | None,
    child: bool,
    variants: int | None,
    augment: str | None,
    augment_seed: int | None,
    retry_bad: bool,
    share: str | None,
    trace: Path | None,
    jobs: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Compute the features of DATASET's images with the frozen part of a network, and store them compressed.

    DATASET is a name (its newest version) or NAME@VERSION. Image shards whose features are stored already
    are skipped, so a stopped run continues where it was. The extraction batch grows while memory and speed
    allow, and halves when memory runs out. Images that cannot be decoded, or that the network fails at alone, are left
    out and named.

    With --share, several machines that reach the store extract at once. Give each another share of as many as there
    are: what one has stored the others leave out, and when one of them ends, all features are there, even if others
    have died.

    With --jobs, many of them run within one memory budget (--memory), the networks in processes of their own. Fields
    of a job are dataset, backbone and, as here, cut, codec, max-error, weights, max-batch, executor, precision,
    decoder, device and retry-bad; besides, tenant, weight (the share of turns, 1 where it is not said), and name. The
    file is checked as a whole before anything runs. A job that fails costs no other; the exit status is 1 then.

    \b
    Examples:
      hapistore extract pets --backbone efficientnet_lite0
      hapistore extract pets --backbone efficientnet_lite0 --precision bf16 --decoder fast --child
      hapistore extract pets --backbone efficientnet_lite0 --codec auto --max-error 0.01
      hapistore extract pets --backbone efficientnet_lite0 --variants 4 --augment crop:35-100,flip
      hapistore extract pets --backbone torchvision/resnet50 --cut map --codec u8c+zstd,f32 --memory 2GiB
      hapistore extract pets --backbone efficientnet_lite0 --share 1/2
      hapistore extract --jobs jobs.toml --memory 8GiB
    """
    if jobs is not None:
        refuse_other_flags(context)
        run_jobs(store, jobs, memory=memory, threads=threads, as_json=as_json)
        return
    if dataset is None or backbone is None:
        raise UsageError("extract wants a DATASET and a --backbone, or --jobs with a file of many")
    specs = parse_codecs(codecs)
    check_max_error(specs, max_error)
    if variants is None and (augment is not None or augment_seed is not None):
        raise UsageError("--augment and --augment-seed say what variants are: give --variants with them")
    require_store(store)
    resolve_version(store, dataset)  # before the network is loaded, which takes seconds
    from ..extraction import ExtractOptions, Share, extract, parse_augment
    from ..models import load_backbone

    chosen: dict[str, Any] = {"decode_threads": threads} if threads else {}
    if trace:
        check_free(trace, replace=True)
    options = ExtractOptions(
        memory_bytes=memory,
        max_batch=max_batch,
        precision=precision,
        augment=parse_augment(augment or _AUGMENT, variants=variants, seed=augment_seed or 0) if variants else None,
        executor=executor,
        device=device,
        child=child,
        retry_bad=retry_bad,
        share=Share.parse(share) if share else None,
        trace=trace,
        **chosen,
    )
    prefix = load_backbone(backbone, weights=weights).prefix(cut, decoder=decoder)
    with ShowProgress(f"extract {dataset}", "images") as progress:
        result = extract(
            store, dataset, prefix, codecs=specs, max_error=max_error, options=options, on_progress=progress
        )
    sizes = codec_sizes(store, result.version, result.recipe, result.codecs)
    if as_json:
        print_json(_to_json(result, sizes))
    else:
        _print(result, sizes, prefix.weights_name)
    _warn(result)


def _to_json(result: Any, sizes: dict[str, float]) -> dict[str, Any]:
    return {
        "dataset": result.version.dataset,
        "version": result.version.number,
        "recipe": result.recipe.digest,
        "shape": list(result.recipe.shape),
        "images": result.images,
        "shards_extracted": result.extracted,
        "shards_transcoded": result.transcoded,
        "shards_present": result.present,
        "bytes_per_image": sizes,
        "precision": result.recipe.precision,
        "executor": result.executor,
        "executor_choice": result.executor_choice.to_json() if result.executor_choice else None,
        "batch": result.batch,
        "peak_bytes": result.peak_bytes,
        "seconds": result.seconds,
        "stage_seconds": result.stage_seconds,
        "restarts": result.restarts,
        "variants": [
            {"variant": number, "name": recipe.label, "recipe": recipe.digest}
            for number, recipe in enumerate(result.variants)
        ],
        "left_out": [vars(image) for image in result.left_out],
        **choice_json(result.choice),
    }


def _warn(result: Any) -> None:
    if not result.left_out:
        return
    count = len(result.left_out)
    click.echo(f"warning: {count} image{'s have' if count > 1 else ' has'} no features:", err=True)
    for image in result.left_out[:_SHOWN]:
        found = f"{image.detail} [{image.reason}]" if image.detail else f"left out before [{image.reason}]"
        click.echo(f"  {image.key}: {found}", err=True)
    more = f"… {count - _SHOWN} more with --json; " if count > _SHOWN else ""
    click.echo(f"  {more}readers leave them out, and --retry-bad tries them again", err=True)


def _print(result: Any, sizes: dict[str, float], weights_name: str) -> None:
    recipe = result.recipe
    click.echo(
        f"{result.version.label} · {recipe.label} {list(recipe.shape)} · {weights_name}\n"
        f"image shards: {result.extracted} extracted, {result.transcoded} transcoded, {result.present} done before, "
        f"in {format_seconds(result.seconds)}"
    )
    if result.images:
        rate = result.images / result.seconds
        click.echo(
            f"executor: {result.executor_choice.describe()}\n"
            f"{result.images} images at {rate:.0f}/s, extraction batch {result.batch}, "
            f"memory peak {format_bytes(result.peak_bytes)}"
        )
        click.echo(", ".join(f"{stage} {format_seconds(took)}" for stage, took in result.stage_seconds.items()))
    echo_choice(result.choice)
    if result.variants:
        count = len(result.variants)
        click.echo(f"and {count} variants besides, {result.variants[0].variant_label[1:]} and on, as large each")
    raw = result.version.size_bytes / result.version.rows
    for codec, size in sizes.items():
        click.echo(f"{codec}: {format_bytes(size)} an image (the image itself {format_bytes(raw)})")
