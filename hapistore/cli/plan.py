"""``hapistore plan``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..appearing import appearing, check_free
from ..errors import UsageError
from ..pages import draw_plan
from ..planning import (
    POLICIES,
    Candidate,
    ModelProfile,
    Resources,
    SplitPlan,
    plan_split,
    profile_from_json,
    profile_to_json,
)
from ..stores import ObjectStore
from .common import Bytes, Rate, Seconds, json_option, print_json, reporting_errors, store_option
from .plan_model import plan_model

_FROM_PROFILE = ("link_low", "delay", "augmented", "tenants")
_FROM_MODEL = ("model", "weights", "freeze_until", "save_profile")


@click.command("plan", short_help="Where to cut a network, so that training takes the least time.")
@click.argument("dataset", required=False)
@click.option(
    "--model",
    metavar="NAME",
    help="Measure a network on DATASET: efficientnet_lite0, torchvision/NAME, timm/NAME, transformers/ID_OR_FOLDER.",
)
@click.option(
    "--weights",
    metavar="WHICH",
    default="pretrained",
    show_default=True,
    help="Of --model: pretrained, random (a fixed seed), or a .safetensors file.",
)
@click.option(
    "--freeze-until",
    metavar="PATH",
    help="Freeze --model up to and including this module or cut.  [default: all but its last layer]",
)
@click.option(
    "--profile",
    "profile_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What a network takes at each of its cuts, as JSON, in place of --model.",
)
@click.option(
    "--save-profile",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep what was measured of --model, for --profile.",
)
@click.option("--codec", metavar="SPEC", help="How features are stored.  [default: u8c+zstd; of --profile, its bytes]")
@click.option(
    "--link",
    type=Rate(),
    help="What the job gets of the link, such as 1Gbit/s or 25MB/s.  [default: measured, by reading from the store]",
)
@click.option("--link-low", type=Rate(), help="The least that it was seen to give.")
@click.option("--delay", type=Seconds(), help="From a request to the first byte of its answer.")
@click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True, help="Of training batches.")
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True, help="How many are trained.")
@click.option("--augmented", is_flag=True, help="Features are computed anew for each epoch, so none are kept.")
@click.option("--disk", type=Bytes(), help="Room for features beside the images.")
@click.option("--cache", type=Bytes(), default=0, help="Room beside the training for what has crossed the link.")
@click.option("--memory", type=Bytes(), help="What a prefix may take in the storage tier.")
@click.option("--tenants", type=click.IntRange(1), help="How many share the storage tier.  [default: 1]")
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
@store_option
@json_option
@reporting_errors
def command(
    store: ObjectStore, dataset: str | None, profile_path: Path | None, plot: Path | None, as_json: bool, **given: Any
) -> None:
    """Choose where to cut a network, and show what every candidate would cost.

    With DATASET and --model, the network is measured on some of its images, as an extraction and a training would run
    it; that takes a minute, and is kept for the next time. With --profile, the choice is made from that alone.

    An epoch is the mean over all epochs: with several of them, features are kept unless --augmented or --disk says
    otherwise, and the storage tier works in the first one only, or (with --model) before it.

    \b
    Examples:
      hapistore plan pets --model torchvision/resnet50 --freeze-until layer3 --link 1Gbit/s --epochs 30
      hapistore plan pets --model efficientnet_lite0 --save-profile lite0.json
      hapistore plan --profile lite0.json --codec u8c+zstd --link 200Mbit/s --policy hapi --json
    """
    save_profile: Path | None = given["save_profile"]
    for path in (plot, save_profile):
        if path is not None:
            check_free(path, replace=True)
    if profile_path is not None:
        _refuse(given, _FROM_MODEL, "--profile")
        plan = _from_profile(_read(profile_path), given)
    else:
        if dataset is None or given["model"] is None:
            raise UsageError("give DATASET and --model NAME, or --profile FILE")
        _refuse(given, _FROM_PROFILE, "--model")
        planned = plan_model(store, dataset, given)
        plan = planned.plan
        if save_profile is not None:
            _write(save_profile, planned.measured)
    if plot is not None:
        draw_plan(plan, plot)
    if as_json:
        print_json(_to_json(plan))
    else:
        click.echo(plan.explain())


def _refuse(given: dict[str, Any], names: tuple[str, ...], beside: str) -> None:
    for name in names:
        if given[name] and (name, given[name]) != ("weights", "pretrained"):
            raise UsageError(f"--{name.replace('_', '-')} means nothing with {beside}; leave out one of the two")


def _from_profile(profile: ModelProfile, given: dict[str, Any]) -> SplitPlan:
    if given["link"] is None:
        raise UsageError("--profile needs --link, such as --link 1Gbit/s: there is no store to measure it with")
    if given["codec"] is not None:
        profile = profile.through(given["codec"])
    resources = Resources(
        link_bytes_per_s=given["link"],
        link_low_bytes_per_s=given["link_low"],
        link_delay_s=given["delay"] or 0.0,
        batch_size=given["batch_size"],
        epochs=given["epochs"],
        augmented=given["augmented"],
        disk_bytes=given["disk"],
        cache_bytes=given["cache"],
        tenants=given["tenants"] or 1,
        memory_bytes=given["memory"],
    )
    return plan_split(profile, resources, given["policy"])


def _read(path: Path) -> ModelProfile:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        raise UsageError(f"{path}: found no JSON ({error}), expected a profile") from None
    try:
        return profile_from_json(value)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _write(path: Path, profile: ModelProfile) -> None:
    with appearing(path, replace=True) as temporary:
        temporary.write_text(json.dumps(profile_to_json(profile), indent=1) + "\n", encoding="utf-8")


def _to_json(plan: SplitPlan) -> dict[str, Any]:
    return {
        "index": plan.chosen.cut.index,
        "name": plan.chosen.cut.name,
        "predicted_epoch_s": plan.chosen.epoch_s,
        "policy": plan.policy,
        "link_bytes_per_s": plan.resources.link_bytes_per_s,
        "link_delay_s": plan.resources.link_delay_s,
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
