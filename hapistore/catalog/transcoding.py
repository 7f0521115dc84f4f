"""The verb: another codec of features that are there, without the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hapistore_format import DatasetVersion, Recipe, get_codec

from ..errors import UsageError
from ..stores import ObjectStore
from .codec_choice import AUTO, CodecChoice, check_max_error, choose_codec, find_choice, replace_auto
from .datasets import resolve_version
from .features import LOSSLESS, FeatureTask, list_tasks, store_features
from .inventory import dataset_features
from .marker import require_store
from .recipes import find_recipe, label_apart


@dataclass(frozen=True, kw_only=True)
class TranscodeResult:
    """What a transcoding did.

    Attributes:
        transcoded, present: image shards whose features were made, and those that had them all.
        choice: how ``auto`` chose; None where it was not asked for.
    """

    version: DatasetVersion
    recipe: Recipe
    codecs: tuple[str, ...]
    transcoded: int
    present: int
    seconds: float
    choice: CodecChoice | None = None


def transcode(
    store: ObjectStore,
    dataset: str,
    *,
    codecs: Sequence[str],
    max_error: float | None = None,
    recipe: str | None = None,
    source: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> TranscodeResult:
    """Make features in other codecs from those that are stored. Stopped, the next run does what is missing.

    Args:
        dataset: ``pets`` or ``pets@7``.
        codecs: spec strings of what to make; ``auto`` and ``max_error`` as in ``extract``.
        recipe: as in ``open_view``; may be left out where the version has features of one recipe only.
        source: the codec to make them from. Default: a lossless one. From another, values are rounded twice.
        on_progress: called with (image shards done, image shards in all).

    Raises:
        UsageError: nothing fits, or there is nothing to make them from; the message lists what there is.
        FormatError: a feature shard is damaged.
    """
    started = time.perf_counter()
    for codec in (*codecs, *([source] if source else [])):
        if codec != AUTO:
            get_codec(codec)
    bound = check_max_error(codecs, max_error)
    require_store(store)
    version = resolve_version(store, dataset)
    chosen = _choose_recipe(store, version, recipe)
    sources = LOSSLESS if source is None else (source,)
    tasks = _list(store, version, chosen, codecs, sources)
    choice = None
    if AUTO in codecs and tasks:
        choice = find_choice(store, chosen, tasks[0].shard, bound) or choose_codec(
            tasks[0].read_source(store).present, bound
        )
        codecs = replace_auto(codecs, choice)
        tasks = _list(store, version, chosen, codecs, sources)
    to_do = [task for task in tasks if task.missing]
    for number, task in enumerate(to_do, 1):
        made_by = {"transcoded_from": task.source, **(choice.provenance if choice else {})}
        store_features(store, chosen, task, task.read_source(store), made_by)
        if on_progress:
            on_progress(number, len(to_do))
    return TranscodeResult(
        version=version,
        recipe=chosen,
        codecs=tuple(codecs),
        transcoded=len(to_do),
        present=len(tasks) - len(to_do),
        seconds=time.perf_counter() - started,
        choice=choice,
    )


def _list(
    store: ObjectStore, version: DatasetVersion, recipe: Recipe, codecs: Sequence[str], sources: Sequence[str]
) -> list[FeatureTask]:
    """A task for every image shard; each that lacks something has something to make it from."""
    tasks = list_tasks(store, version, recipe, codecs, sources=sources)
    lacking = sum(bool(task.missing) and task.source is None for task in tasks)
    if lacking:
        there = {s.codec for s in dataset_features(store, version)}
        raise UsageError(
            f"{lacking} of the {len(version.shards)} image shards of {version.label} have no {' or '.join(sources)} "
            f"features of {recipe.label} to make others from; extract, or name another source "
            f"codec (there is {', '.join(sorted(there)) or 'none'})"
        )
    return tasks


def _choose_recipe(store: ObjectStore, version: DatasetVersion, recipe: str | None) -> Recipe:
    if recipe is not None:
        return find_recipe(store, recipe)
    summaries = dataset_features(store, version)
    # Variants are asked for by their own names.
    found = {s.recipe.digest: s.recipe for s in summaries if not s.recipe.augmentation}
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise UsageError(f"{version.label} has no features; make them with `hapistore extract {version.dataset}`")
    labels = label_apart(list(found.values()))
    listed = ", ".join(f"{digest[:12]} ({label})" for digest, label in zip(found, labels, strict=True))
    raise UsageError(f"{version.label} has features of several recipes: {listed}; say which")
