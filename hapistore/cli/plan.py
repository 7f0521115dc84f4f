"""``hapistore plan``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..appearing import check_free
from ..errors import UsageError
from ..pages import draw_plan
from ..planning import POLICIES, Candidate, ModelProfile, Resources, SplitPlan, plan_split, profile_from_json
from .common import Bytes, Rate, Seconds, json_option, print_json, reporting_errors


@click.command("plan", short_help="Where to cut a network, so that training takes the least time.")
@click.option(
    "--profile",
    "profile_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="What the network takes at each of its cuts, as JSON.",
)
@click.option("--link", type=Rate(), required=True, help="What the job gets of the link, such as 1Gbit/s or 25MB/s.")
@click.option("--link-low", type=Rate(), help="The least that it was seen to give.")
@click.option("--delay", type=Seconds(), default=0.0, help="From a request to the first byte of its answer.")
@click.option("--batch-size", type=click.IntRange(1), required=True, help="Of training batches.")
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True, help="How many are trained.")
@click.option("--augmented", is_flag=True, help="Features are computed anew for each epoch, so none are kept.")
@click.option("--disk", type=Bytes(), help="Room for features beside the images; a cut with more recomputes them.")
@click.option("--cache", type=Bytes(), default=0, help="Room beside the training for what has crossed the link.")
@click.option(
    "--tenants", type=click.IntRange(1), default=1, show_default=True, help="How many share the storage tier."
)
@click.option(
    "--policy",
    type=click.Choice(list(POLICIES)),
    default="cost",
    show_default=True,
    help="cost: the least time. To compare with: hapi, freeze, smallest, none (ship the images).",
)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.png", help="Draw the candidates."
)
@json_option
@reporting_errors
def command(
    profile_path: Path, policy: str, plot: Path | None, as_json: bool, link: float, link_low: float | None,
    delay: float, batch_size: int, epochs: int, augmented: bool, disk: int | None, cache: int, tenants: int,
) -> None:  # fmt: skip
    """Choose a cut from a profile alone, and show what every candidate would cost.

    An epoch is the mean over all epochs: with several of them, features are kept unless --augmented or --disk says
    otherwise, and the storage tier works in the first one only.

    \b
    Examples:
      hapistore plan --profile resnet50.json --link 1Gbit/s --batch-size 256 --epochs 30
      hapistore plan --profile resnet50.json --link 200Mbit/s --batch-size 256 --policy hapi --json
    """
    if plot is not None:
        check_free(plot, replace=True)
    resources = Resources(
        link_bytes_per_s=link, link_low_bytes_per_s=link_low, link_delay_s=delay, batch_size=batch_size,
        epochs=epochs, augmented=augmented, disk_bytes=disk, cache_bytes=cache, tenants=tenants,
    )  # fmt: skip
    plan = plan_split(_read(profile_path), resources, policy)
    if plot is not None:
        draw_plan(plan, plot)
    if as_json:
        print_json(_to_json(plan))
    else:
        click.echo(plan.explain())


def _read(path: Path) -> ModelProfile:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        raise UsageError(f"{path}: found no JSON ({error}), expected a profile") from None
    try:
        return profile_from_json(value)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _to_json(plan: SplitPlan) -> dict[str, Any]:
    return {
        "index": plan.chosen.cut.index,
        "name": plan.chosen.cut.name,
        "predicted_epoch_s": plan.chosen.epoch_s,
        "candidates": [_candidate(one) for one in plan.candidates],
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "index": one.cut.index,
        "name": one.cut.name,
        "mode": one.mode,
        "bytes_per_image": one.cut.bytes_per_image,
        "storage_s": one.storage_s,
        "link_s": one.link_s,
        "compute_s": one.compute_s,
        "bottleneck": one.bottleneck,
        "predicted_epoch_s": one.epoch_s,
        "worst_epoch_s": one.worst_epoch_s,
    }
