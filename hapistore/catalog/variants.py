"""Which variants of a recipe are stored, and which of them belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hapistore_format import DatasetVersion, Recipe

from ..errors import MissingFeatures, UsageError
from .inventory import FeatureSummary

ALL = "all"


def choose_variants(
    summaries: Sequence[FeatureSummary],
    version: DatasetVersion,
    plain: Recipe,
    codec: str,
    *,
    variants: int | str,
    augment: str | None,
) -> tuple[Recipe, ...]:
    """Recipes of the variants 0, 1, … of one augmentation, all of whose features are there.

    Args:
        summaries: what the version has features of.
        variants: how many, or ``all`` that are stored.
        augment: which augmentation, as in its name, with ``,seed=N`` where that is not 0; None: the only one.

    Raises:
        UsageError: no augmentation fits, or several do; the message lists what there is.
        MissingFeatures: features of a variant are not all there.
    """
    if variants != ALL and (not isinstance(variants, int) or isinstance(variants, bool) or variants < 1):
        raise UsageError(f"variants is {variants!r}, expected at least 1, or {ALL!r}")
    families: dict[str, dict[int, FeatureSummary]] = {}
    for summary in summaries:
        of = summary.recipe.augmentation
        if of and summary.codec == codec and summary.recipe.plain.digest == plain.digest:
            families.setdefault(family_name(summary.recipe), {})[of.variant] = summary
    name = _only(families, version, plain, codec, augment)
    found = families[name]
    count = max(found) + 1 if variants == ALL else int(variants)
    _check_complete(found, version, plain, codec, name, count)
    return tuple(found[number].recipe for number in range(count))


def family_name(recipe: Recipe) -> str:
    """What recipes of variants that belong together have in common, beside their plain recipe."""
    of = recipe.augmentation
    if of is None:
        return ""
    return of.name + (f",seed={of.seed}" if of.seed else "")


def _only(
    families: dict[str, dict[int, FeatureSummary]],
    version: DatasetVersion,
    plain: Recipe,
    codec: str,
    augment: str | None,
) -> str:
    if augment in families:
        return augment
    if augment is None and len(families) == 1:
        return next(iter(families))
    there = "; ".join(f"{name} ({len(found)})" for name, found in sorted(families.items()))
    if not families:
        raise UsageError(
            f"{version.label} has no variants of {plain.label} in {codec}; make them with "
            f"`{extract_command(version, plain, codec)} --variants 4`"
        )
    wanted = "several kinds of variants" if augment is None else f"no variants of {augment!r}"
    raise UsageError(f"{version.label} has {wanted} of {plain.label} in {codec}: say augment=, there is {there}")


def _check_complete(
    found: dict[int, FeatureSummary], version: DatasetVersion, plain: Recipe, codec: str, name: str, count: int
) -> None:
    for number in range(count):
        shards = found[number].shards if number in found else 0
        if number in found and found[number].complete:
            continue
        of = next(iter(found.values())).recipe.augmentation
        last = replace(plain, augmentation=replace(of, variant=count - 1)) if of else plain
        raise MissingFeatures(
            f"variant {number} of {name}: {len(version.shards) - shards} of the {len(version.shards)} image shards of "
            f"{version.label} have no {codec} features yet; finish with `{extract_command(version, last, codec)}`"
            + (f", or read {number} variants" if number else "")
        )


def extract_command(version: DatasetVersion, recipe: Recipe, codec: str) -> str:
    """What makes a version's features of a recipe, and of all variants up to its own."""
    words = ["hapistore extract", version.label, "--backbone", recipe.architecture, "--cut", recipe.cut]
    if recipe.precision != "f32":
        words += ["--precision", recipe.precision]
    words += ["--codec", codec]
    of = recipe.augmentation
    if of:
        words += ["--variants", str(of.variant + 1), "--augment", of.name]
        words += ["--augment-seed", str(of.seed)] if of.seed else []
    return " ".join(words)
